//! The boxes that JPEG 2000 (ISO/IEC 15444-1, annex I) and JPEG XL (ISO/IEC 18181-2) files are made of: a length, four
//! letters and what they name.

/// One box of a file or of another box.
pub(super) struct Box<'a> {
    pub kind: &'a [u8],
    /// What there is of it.
    pub data: &'a [u8],
    /// Whether that is all of it.
    pub whole: bool,
}

/// The boxes of `bytes` in order, as far as they can be told apart.
pub(super) fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = Box<'_>> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (kind, rest) = rest.split_at_checked(4)?;
        let (length, rest) = match u32::from_be_bytes(*length) {
            // Up to the end of the file.
            0 => (rest.len() as u64, rest),
            1 => {
                let (length, rest) = rest.split_first_chunk::<8>()?;
                (u64::from_be_bytes(*length).checked_sub(16)?, rest)
            }
            length => (u64::from(length).checked_sub(8)?, rest),
        };
        let end = usize::try_from(length).map_or(rest.len(), |length| length.min(rest.len()));
        let data;
        (data, bytes) = rest.split_at(end);
        let whole = data.len() as u64 == length;
        Some(Box { kind, data, whole })
    })
}
