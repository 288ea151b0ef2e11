//! Files that owners keep: the same demands on both databases.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use maoocr_server::store::files::{Kept, NewFile, Room};
use maoocr_server::store::{self, Store};
use maoocr_services::Postgres;
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(3600);
const WIDE: Room = Room {
    files: 100,
    owner: 1 << 20,
    total: 1 << 20,
};

fn file(owner: &str, kind: &'static str, lifetime: Duration, bytes: usize) -> NewFile {
    NewFile {
        id: Uuid::now_v7(),
        owner: owner.into(),
        kind,
        name: "a\0.pdf".into(),
        media_type: "application/pdf".into(),
        lifetime,
        secret: [7; 32],
        bytes: vec![1; bytes],
    }
}

async fn all(store: Arc<dyn Store>) {
    // Kept, listed newest first, read and deleted by its owner alone, under its kind alone.
    let (a, b) = (
        file("ann", "upload", HOUR, 10),
        file("ann", "upload", HOUR, 20),
    );
    for file in [&a, &b] {
        assert_eq!(
            store.add_file(file.clone(), WIDE).await.unwrap(),
            Kept::Stored
        );
    }
    let list = store.files("ann", "upload").await.unwrap();
    assert_eq!(list.iter().map(|f| f.id).collect::<Vec<_>>(), [b.id, a.id]);
    assert_eq!((&*list[1].name, list[1].size), ("a\u{fffd}.pdf", 10));
    let kept = list[1].expires_at - list[1].created_at;
    // The database may look at its clock twice.
    assert!((3_600_000..3_660_000).contains(&kept), "{kept}");
    assert_eq!(
        store.file_bytes("ann", "upload", a.id).await.unwrap(),
        Some(a.bytes.clone())
    );
    let link = store.file_link("upload", a.id).await.unwrap().unwrap();
    assert_eq!((&*link.owner, &link.secret[..]), ("ann", &[7; 32][..]));
    for (owner, kind) in [("bob", "upload"), ("ann", "result"), ("", "upload")] {
        assert_eq!(store.file(owner, kind, a.id).await.unwrap(), None);
        assert_eq!(store.file_bytes(owner, kind, a.id).await.unwrap(), None);
        assert!(store.files(owner, kind).await.unwrap().is_empty());
        assert!(!store.delete_file(owner, kind, a.id).await.unwrap());
    }
    assert!(store.file_link("result", a.id).await.unwrap().is_none());
    assert!(store.delete_file("ann", "upload", a.id).await.unwrap());
    assert!(!store.delete_file("ann", "upload", a.id).await.unwrap());
    assert!(store.delete_file("ann", "upload", b.id).await.unwrap());

    // What has expired is gone at once, and makes room.
    let old = file("ann", "upload", Duration::ZERO, 900_000);
    assert_eq!(
        store.add_file(old.clone(), WIDE).await.unwrap(),
        Kept::Stored
    );
    assert_eq!(store.file("ann", "upload", old.id).await.unwrap(), None);
    assert_eq!(
        store.file_bytes("ann", "upload", old.id).await.unwrap(),
        None
    );
    assert!(store.file_link("upload", old.id).await.unwrap().is_none());
    let new = file("ann", "upload", HOUR, 900_000);
    assert_eq!(
        store.add_file(new.clone(), WIDE).await.unwrap(),
        Kept::Stored
    );

    // Room is counted by owner and in all, by number and by size.
    let full = store
        .add_file(file("ann", "result", HOUR, 200_000), WIDE)
        .await
        .unwrap();
    assert_eq!(full, Kept::OwnerFull);
    let full = store
        .add_file(file("bob", "upload", HOUR, 200_000), WIDE)
        .await
        .unwrap();
    assert_eq!(full, Kept::Full);
    let few = Room { files: 1, ..WIDE };
    assert_eq!(
        store
            .add_file(file("ann", "upload", HOUR, 1), few)
            .await
            .unwrap(),
        Kept::OwnerFull
    );
    assert_eq!(
        store
            .add_file(file("bob", "upload", HOUR, 1), few)
            .await
            .unwrap(),
        Kept::Stored
    );
    // Of many at the same time as many are stored as there is room for.
    let room = Room { files: 4, ..WIDE };
    let many = (0..12).map(|_| store.add_file(file("cy", "upload", HOUR, 1), room));
    let kept = join_all(many).await.into_iter().map(Result::unwrap);
    assert_eq!(kept.filter(|kept| *kept == Kept::Stored).count(), 4);

    let old = file("bob", "upload", Duration::ZERO, 1);
    assert_eq!(store.add_file(old, WIDE).await.unwrap(), Kept::Stored);
    assert_eq!(store.purge_files().await.unwrap(), 1);
    assert_eq!(store.purge_files().await.unwrap(), 0);
}

#[tokio::test]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    all(
        store::open(&format!("sqlite:{}/a.db", folder.path().display()))
            .await
            .unwrap(),
    )
    .await;
}

#[tokio::test]
async fn postgres() {
    let server = Postgres::start().unwrap();
    all(store::open(&server.database().unwrap()).await.unwrap()).await;
}
