//! Why a picture was not read, for a program ([`ImagingError::code`]) and for a person (its message).

use image::ImageError;
use image::error::LimitErrorKind;

use super::Format;

/// Why bytes did not become a [`Page`](super::Page). Messages say what is wrong and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImagingError {
    /// No bytes.
    #[error("the file is empty: send the bytes of a picture")]
    Empty,
    /// Not a picture format the engine reads.
    #[error("{0}: send a JPEG, PNG, WebP, GIF, BMP, TIFF or PNM picture")]
    UnknownFormat(String),
    /// A format the engine reads, in a variety it does not.
    #[error("this kind of {format} is not read ({what}): save it as an ordinary 8-bit PNG or JPEG")]
    Unsupported {
        /// [`Format::name`].
        format: &'static str,
        /// The feature.
        what: String,
    },
    /// The file ends before the picture does.
    #[error("the {format} ends before its picture does ({detail}): send the whole file")]
    Truncated {
        /// [`Format::name`].
        format: &'static str,
        /// From the decoder.
        detail: String,
    },
    /// The bytes contradict their format.
    #[error("the {format} is damaged ({detail}): save or scan it anew")]
    Malformed {
        /// [`Format::name`].
        format: &'static str,
        /// From the decoder.
        detail: String,
    },
    /// [`Limits::max_bytes`](super::Limits::max_bytes).
    #[error(
        "the file has {bytes} bytes and the limit is {limit}: send a smaller file or raise the limit"
    )]
    TooLarge {
        /// Of the file.
        bytes: usize,
        /// In force.
        limit: usize,
    },
    /// [`Limits::max_pixels`](super::Limits::max_pixels).
    #[error(
        "the picture is {width} × {height} px and the limit is {limit} pixels: scale it down or raise the limit"
    )]
    TooManyPixels {
        /// px
        width: u32,
        /// px
        height: u32,
        /// In force.
        limit: u64,
    },
    /// [`Limits::max_pages`](super::Limits::max_pages).
    #[error("the file has more than {limit} pages: split it or raise the limit")]
    TooManyPages {
        /// In force.
        limit: usize,
    },
    /// The samples of a frame are none for its size.
    #[error(
        "a frame of {width} × {height} px has 4 bytes a pixel and at least one pixel, not {bytes} bytes"
    )]
    FrameSize {
        /// px
        width: u32,
        /// px
        height: u32,
        /// Given.
        bytes: usize,
    },
    /// [`Limits::max_memory`](super::Limits::max_memory), or the machine's own.
    #[error("decoding takes more memory than allowed{}: send fewer or smaller pages, or raise the limit", in_bytes(*needed))]
    OutOfMemory {
        /// Bytes, estimated from the header; unknown where a decoder noticed first.
        needed: Option<u64>,
    },
}

fn in_bytes(needed: Option<u64>) -> String {
    needed.map_or_else(String::new, |bytes| format!(" ({bytes} bytes)"))
}

impl ImagingError {
    /// A stable name for programs.
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
            // `image` wraps the I/O error of a file that ends early in the codec's own.
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
