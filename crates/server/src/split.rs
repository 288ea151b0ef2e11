//! Files of jobs that were read page by page → their answers.

use serde_json::Value;

use crate::app::App;
use crate::problem::Problem;
use crate::reading::{Merged, Merger};
use crate::store::{ItemKey, State, StoreError};

/// Pages that are fetched at once.
const PAGES: u32 = 32;

/// The answer of a file that was split; or, if none of its pages was read, why not the first.
///
/// # Errors
/// The store doesn't respond.
pub async fn answer(app: &App, item: ItemKey) -> Result<Result<Merged, Value>, StoreError> {
    let item = ItemKey::file(item.job, item.index);
    let mut merger = Merger::default();
    let mut first = 0;
    loop {
        let pages = app.store.pages(item, first, PAGES).await?;
        for page in &pages {
            first = page.index + 1;
            let damaged = |e: serde_json::Error| StoreError::Damaged("a page", e.to_string());
            match (&page.result, &page.error) {
                (Some(result), _) => merger.read(result).map_err(damaged)?,
                (None, Some(error)) => {
                    let error = serde_json::from_str(error).map_err(damaged)?;
                    merger.lost(page.index as usize, error);
                }
                // Its owner had what was read deleted.
                (None, None) if page.state == State::Done => {
                    let problem = Problem::not_found("this page's text has been deleted");
                    merger.lost(page.index as usize, problem.to_json());
                }
                // It was cancelled.
                (None, None) => {}
            }
        }
        if pages.len() < PAGES as usize {
            return Ok(merger.finish());
        }
    }
}
