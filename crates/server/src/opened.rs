//! Files of jobs that are read page by page, kept open between their pages: neither fetched nor parsed for each.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use maoocr_engine::imaging::Limits;

use crate::document::{self, PageOptions, Paged, ReadError};
use crate::reading::FileId;
use crate::store::{ItemKey, Store, StoreError};

/// Most files that are kept.
const MOST: usize = 4;

/// Files that are kept open, the one used last at the end.
#[derive(Default)]
pub struct Opened {
    files: Mutex<VecDeque<(ItemKey, Arc<OpenFile>)>>,
    /// Held while a file is fetched, so that those who read other pages of it don't fetch it, too.
    fetching: tokio::sync::Mutex<()>,
}

/// A file, opened when it is first needed.
pub struct OpenFile {
    /// What the cache knows it by.
    pub id: FileId,
    inner: Mutex<Inner>,
}

enum Inner {
    Bytes(Bytes),
    Open(Paged),
}

impl Opened {
    /// Keeps a file that is open already.
    pub fn keep(&self, item: ItemKey, id: FileId, paged: Paged) {
        let inner = Mutex::new(Inner::Open(paged));
        self.insert(item, Arc::new(OpenFile { id, inner }));
    }

    /// The file of a page, fetched if need be; none if the store no longer has it.
    pub async fn get(
        &self,
        item: ItemKey,
        store: &dyn Store,
    ) -> Result<Option<Arc<OpenFile>>, StoreError> {
        let item = ItemKey::file(item.job, item.index);
        if let Some(file) = self.known(item) {
            return Ok(Some(file));
        }
        let _alone = self.fetching.lock().await;
        if let Some(file) = self.known(item) {
            return Ok(Some(file));
        }
        let Some(bytes) = store.picture(item).await? else {
            return Ok(None);
        };
        let file = Arc::new(OpenFile {
            id: FileId::of(&bytes),
            inner: Mutex::new(Inner::Bytes(bytes.into())),
        });
        self.insert(item, file.clone());
        Ok(Some(file))
    }

    /// Forgets a file that is over.
    pub fn close(&self, item: ItemKey) {
        let item = ItemKey::file(item.job, item.index);
        self.lock().retain(|(known, _)| *known != item);
    }

    fn known(&self, item: ItemKey) -> Option<Arc<OpenFile>> {
        let mut files = self.lock();
        let place = files.iter().position(|(known, _)| *known == item)?;
        let used = files.remove(place)?;
        let file = used.1.clone();
        files.push_back(used);
        Some(file)
    }

    fn insert(&self, item: ItemKey, file: Arc<OpenFile>) {
        let item = ItemKey::file(item.job, item.index);
        let mut files = self.lock();
        files.retain(|(known, _)| *known != item);
        files.push_back((item, file));
        if files.len() > MOST {
            files.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(ItemKey, Arc<OpenFile>)>> {
        self.files.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl OpenFile {
    /// Its pages. Whoever comes while it is being opened waits for it.
    ///
    /// # Errors
    /// It can't be opened.
    pub fn pages(&self, options: &PageOptions, limits: &Limits) -> Result<Paged, ReadError> {
        let mut inner = self.inner.lock().unwrap_or_else(|e| e.into_inner());
        let bytes = match &*inner {
            Inner::Open(paged) => return Ok(paged.clone()),
            Inner::Bytes(bytes) => bytes,
        };
        let (paged, _) = document::open(bytes, options, limits, limits.max_pages)?;
        *inner = Inner::Open(paged.clone());
        Ok(paged)
    }
}
