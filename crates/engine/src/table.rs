//! Tables: where they stand and which text is in which cell.
//!
//! A table that is ruled is read by its rules ([`ruled`]), any other by the alignment of its text ([`aligned`]).

use crate::document::Table;
use crate::structure::frame::{Box, Frame};

mod aligned;
mod cells;
mod find;
mod fragment;
mod head;
mod join;
mod ruled;

pub(crate) use find::{Found, fills, find, whole};
pub(crate) use fragment::{Fragment, fragments};

use crate::structure::rules::Rules;

/// Reads the table that these fragments make up, by its rules as far as it has any. `None` where they are no table:
/// fewer than two rows or columns.
fn read(
    fragments: &[Fragment],
    rules: &Rules,
    frame: &Frame,
    text_height: f32,
) -> Option<(Table, Box)> {
    ruled::components(rules, text_height)
        .into_iter()
        .filter_map(|component| ruled::read(&component, fragments, frame, text_height))
        .filter(|(_, area, used)| {
            // A frame around part of the text isn't the table's.
            *used * 10 >= fragments.len() * 8 && area.width() > 0.0
        })
        .max_by_key(|(_, _, used)| *used)
        .map(|(table, area, _)| (table, area))
        .or_else(|| aligned::read(fragments, rules, frame, text_height))
}
