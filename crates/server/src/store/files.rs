//! Files that their owners keep for a while: uploads, and what was made of them.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::StoreError;

/// A file to keep.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// Its id, of version 7.
    pub id: Uuid,
    /// Its owner.
    pub owner: String,
    /// What it is for; files of one kind don't see those of another.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// How long it is kept.
    pub lifetime: Duration,
    /// Signs links to it: random.
    pub secret: [u8; 32],
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// A file that is kept, without its bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredFile {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Bytes.
    pub size: i64,
    /// When it was stored, milliseconds since 1970.
    pub created_at: i64,
    /// When it is deleted, likewise.
    pub expires_at: i64,
}

/// What a link to a file is checked with.
#[derive(Clone, Debug)]
pub struct FileLink {
    /// The file's owner.
    pub owner: String,
    /// Signs links to it.
    pub secret: Vec<u8>,
}

/// How much room there is for files.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Most files of one owner.
    pub files: i64,
    /// Bytes of all files of one owner.
    pub owner: i64,
    /// Bytes of all files.
    pub total: i64,
}

/// Whether a file found room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kept {
    /// It is stored.
    Stored,
    /// The owner has too many or too large ones already.
    OwnerFull,
    /// All owners together have.
    Full,
}

impl Room {
    /// Whether `size` more bytes fit beside what is there.
    pub(super) fn fits(self, size: i64, files: i64, owner: i64, total: i64) -> Kept {
        if files >= self.files || owner.saturating_add(size) > self.owner {
            Kept::OwnerFull
        } else if total.saturating_add(size) > self.total {
            Kept::Full
        } else {
            Kept::Stored
        }
    }
}

/// Files in a database. What has expired is not there, deleted or not.
#[async_trait]
pub trait Files: Send + Sync {
    /// Stores a file if there is room, after deleting what has expired.
    async fn add_file(&self, file: NewFile, room: Room) -> Result<Kept, StoreError>;
    /// One of the owner's files.
    async fn file(
        &self,
        owner: &str,
        kind: &str,
        id: Uuid,
    ) -> Result<Option<StoredFile>, StoreError>;
    /// What is in it.
    async fn file_bytes(
        &self,
        owner: &str,
        kind: &str,
        id: Uuid,
    ) -> Result<Option<Vec<u8>>, StoreError>;
    /// What a link to a file of anybody is checked with.
    async fn file_link(&self, kind: &str, id: Uuid) -> Result<Option<FileLink>, StoreError>;
    /// The owner's files, newest first.
    async fn files(&self, owner: &str, kind: &str) -> Result<Vec<StoredFile>, StoreError>;
    /// Deletes one of the owner's files; `false` if there is none.
    async fn delete_file(&self, owner: &str, kind: &str, id: Uuid) -> Result<bool, StoreError>;
    /// Deletes what has expired.
    async fn purge_files(&self) -> Result<u64, StoreError>;
}
