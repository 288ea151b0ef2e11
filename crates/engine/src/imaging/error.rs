//! Why a picture could not be decoded: [`ImagingError::code`] for programs, its message for people.

use image::ImageError;
use image::error::LimitErrorKind;

use super::Format;

/// Why bytes did not become an [`Image`](super::Image). Each message says what is wrong and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImagingError {
    /// There are no bytes.
    #[error("the file is empty: send the bytes of a picture")]
    Empty,
    /// The format is not one that the engine reads.
    #[error("{0}: send a PDF or a picture (JPEG, PNG, WebP, GIF, BMP, TIFF or PNM)")]
    UnknownFormat(String),
    /// The engine reads the format, but not this variant of it.
    #[error("this kind of {format} is not supported ({what}): save it as an 8-bit PNG or JPEG")]
    Unsupported {
        /// [`Format::name`].
        format: &'static str,
        /// The feature that is not supported.
        what: String,
    },
    /// The file ends before the picture does.
    #[error("the {format} file is incomplete ({detail}): send the whole file")]
    Truncated {
        /// [`Format::name`].
        format: &'static str,
        /// What the decoder says.
        detail: String,
    },
    /// The bytes contradict their format.
    #[error("the {format} file is damaged ({detail}): save or scan it again")]
    Malformed {
        /// [`Format::name`].
        format: &'static str,
        /// What the decoder says.
        detail: String,
    },
    /// The file exceeds [`Limits::max_bytes`](super::Limits::max_bytes).
    #[error("the file has {bytes} bytes, more than the limit of {limit}: send a smaller file")]
    TooLarge {
        /// Size of the file, bytes.
        bytes: usize,
        /// The limit in force.
        limit: usize,
    },
    /// A page exceeds [`Limits::max_pixels`](super::Limits::max_pixels).
    #[error(
        "the picture has {width} × {height} pixels, more than the limit of {limit}: scale it down"
    )]
    TooManyPixels {
        /// px
        width: u32,
        /// px
        height: u32,
        /// The limit in force.
        limit: u64,
    },
    /// The file exceeds [`Limits::max_pages`](super::Limits::max_pages).
    #[error("the file has more than {limit} pages: choose some of them, or split it")]
    TooManyPages {
        /// The limit in force.
        limit: usize,
    },
    /// The samples don't match the size of the frame.
    #[error(
        "a frame of {width} × {height} pixels needs at least one pixel and 4 bytes per pixel, not {bytes} bytes"
    )]
    FrameSize {
        /// px
        width: u32,
        /// px
        height: u32,
        /// Bytes that were given.
        bytes: usize,
    },
    /// Decoding would exceed [`Limits::max_memory`](super::Limits::max_memory), or what the machine has.
    #[error("decoding needs more memory{} than the limit allows: send fewer or smaller pages", in_bytes(*needed))]
    OutOfMemory {
        /// Bytes, estimated from the header; unknown if the decoder noticed first.
        needed: Option<u64>,
    },
    /// It is encrypted.
    #[error("{}", password_message(*given))]
    Password {
        /// Whether one was given, and it isn't the right one.
        given: bool,
    },
    /// Drawing a page takes more steps or time than allowed.
    #[error("{what}: print or scan the page again")]
    TooComplex {
        /// What there is too much of.
        what: String,
    },
}

fn password_message(given: bool) -> &'static str {
    if given {
        "the password does not open this file: give the right one"
    } else {
        "the file is encrypted: give its password"
    }
}

fn in_bytes(needed: Option<u64>) -> String {
    needed.map_or_else(String::new, |bytes| format!(" ({bytes} bytes)"))
}

impl ImagingError {
    /// A stable identifier for programs; messages may change, this doesn't.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::UnknownFormat(_) => "unknown_format",
            Self::Unsupported { .. } => "unsupported",
            Self::Truncated { .. } => "truncated",
            Self::Malformed { .. } => "malformed",
            Self::TooLarge { .. } => "too_large",
            Self::TooManyPixels { .. } => "too_many_pixels",
            Self::TooManyPages { .. } => "too_many_pages",
            Self::FrameSize { .. } => "invalid_frame",
            Self::OutOfMemory { .. } => "out_of_memory",
            Self::Password { given: false } => "password_required",
            Self::Password { given: true } => "password_wrong",
            Self::TooComplex { .. } => "too_complex",
        }
    }

    pub(super) fn unsupported(format: Format, what: impl Into<String>) -> Self {
        Self::Unsupported {
            format: format.name(),
            what: what.into(),
        }
    }

    pub(super) fn truncated(format: Format, detail: impl Into<String>) -> Self {
        Self::Truncated {
            format: format.name(),
            detail: detail.into(),
        }
    }

    pub(super) fn malformed(format: Format, detail: impl Into<String>) -> Self {
        Self::Malformed {
            format: format.name(),
            detail: detail.into(),
        }
    }

    pub(super) fn io(format: Format, error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                Self::truncated(format, "bytes are missing at the end")
            }
            _ => Self::malformed(format, error.to_string()),
        }
    }

    pub(super) fn image(format: Format, error: ImageError) -> Self {
        match error {
            ImageError::IoError(e) => Self::io(format, &e),
            ImageError::Unsupported(e) => Self::unsupported(format, e.to_string()),
            ImageError::Limits(e) if matches!(e.kind(), LimitErrorKind::InsufficientMemory) => {
                Self::OutOfMemory { needed: None }
            }
            // When a file ends early, `image` wraps the I/O error in the codec's own.
            other => {
                let detail = other.to_string();
                let lower = detail.to_lowercase();
                if [
                    "unexpected eof",
                    "unexpected end",
                    "end of file",
                    "fill whole buffer",
                ]
                .iter()
                .any(|hint| lower.contains(hint))
                {
                    Self::truncated(format, "bytes are missing at the end")
                } else {
                    Self::malformed(format, detail)
                }
            }
        }
    }
}
