//! Files of jobs that are read page by page.
//!
//! A worker that finds several pages in a file it has claimed splits it. From then on its pages are claimed, each with a
//! lease, attempts and retries of its own, and their results are stored as they come. When none is open any more, the file
//! is claimed once again, for its end.

use async_trait::async_trait;
use uuid::Uuid;

use super::{ItemKey, State, StoreError};

/// A page of a file that was split.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its position in the file, from 0.
    pub index: u32,
    /// Its state.
    pub state: State,
    /// The page's JSON, once it was read, unless its owner has it forgotten.
    pub result: Option<String>,
    /// A problem document's JSON, if it can't be read.
    pub error: Option<String>,
}

/// Pages of files of jobs.
#[async_trait]
pub trait Pages {
    /// Splits a claimed file into the pages at these positions, which count in its job from now on. `answer` is the id of
    /// the file's answer. `false`, with nothing changed, if the worker no longer holds the file.
    async fn split(
        &self,
        worker: Uuid,
        item: ItemKey,
        answer: Uuid,
        pages: &[u32],
    ) -> Result<bool, StoreError>;
    /// A file's bytes, until it is over.
    async fn picture(&self, item: ItemKey) -> Result<Option<Vec<u8>>, StoreError>;
    /// A file's pages in order, from the position `first` on.
    async fn pages(&self, item: ItemKey, first: u32, limit: u32) -> Result<Vec<Page>, StoreError>;
}
