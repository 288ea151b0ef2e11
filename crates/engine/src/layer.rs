//! A page's text layer → lines and words, and whether it can be believed.
//!
//! A text layer says what a page shows, where it is sound. It need not be: fonts come with maps that lie or with none, and
//! scans carry what some older program read. [`lines`] puts its characters together; [`sample`] and [`judge`] compare
//! some of the lines with what is seen there.

mod judge;
mod lines;

pub use judge::{Sample, Verdict, judge, sample};
pub use lines::lines;
