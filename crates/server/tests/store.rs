//! The same demands on both databases.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use maoocr_server::store::{
    self, Claim, Created, ItemKey, Job, NewEntry, NewJob, NewKey, Outcome, Purged, Scope, State,
    Store, StoreError, Waiting,
};
use maoocr_services::{PgBouncer, Postgres};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(60);

/// An empty database, opened.
struct Database {
    store: Arc<dyn Store>,
    address: String,
    _folder: Option<TempDir>,
    _pooler: Option<PgBouncer>,
    _server: Option<Arc<Mutex<Postgres>>>,
}

impl Database {
    async fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        let address = format!("sqlite:{}/data/maoocr.db", folder.path().display());
        Self {
            store: store::open(&address).await.unwrap(),
            address,
            _folder: Some(folder),
            _pooler: None,
            _server: None,
        }
    }

    async fn postgres() -> Self {
        Self::postgres_with(&[]).await
    }

    async fn postgres_with(arguments: &[&str]) -> Self {
        let server = server();
        let address = lock(&server).database_with(arguments).unwrap();
        Self {
            store: store::open(&address).await.unwrap(),
            address,
            _folder: None,
            _pooler: None,
            _server: Some(server),
        }
    }

    /// PostgreSQL behind a pooler that gives each transaction another session; none if the installed one can't do that
    /// with prepared statements.
    async fn pooled() -> Option<Self> {
        if !PgBouncer::keeps_statements().unwrap() {
            return None;
        }
        let server = server();
        let pooler = PgBouncer::start(&lock(&server).database().unwrap(), 3).unwrap();
        Some(Self {
            store: store::open(pooler.address()).await.unwrap(),
            address: pooler.address().into(),
            _folder: None,
            _pooler: Some(pooler),
            _server: Some(server),
        })
    }

    /// As another replica sees it.
    async fn again(&self) -> Arc<dyn Store> {
        store::open(&self.address).await.unwrap()
    }

    /// Runs statements that no store would.
    async fn run(&self, statements: &[&'static str]) {
        if self.address.starts_with("sqlite:") {
            let pool = sqlx::SqlitePool::connect(&self.address).await.unwrap();
            for sql in statements {
                sqlx::query(*sql).execute(&pool).await.unwrap();
            }
        } else {
            let pool = sqlx::PgPool::connect(&self.address).await.unwrap();
            for sql in statements {
                sqlx::query(*sql).execute(&pool).await.unwrap();
            }
        }
    }

    /// The number that a query finds.
    async fn number(&self, query: &'static str) -> i64 {
        if self.address.starts_with("sqlite:") {
            let pool = sqlx::SqlitePool::connect(&self.address).await.unwrap();
            sqlx::query_scalar(query).fetch_one(&pool).await.unwrap()
        } else {
            let pool = sqlx::PgPool::connect(&self.address).await.unwrap();
            sqlx::query_scalar(query).fetch_one(&pool).await.unwrap()
        }
    }
}

/// One server for all tests that run at the same time.
fn server() -> Arc<Mutex<Postgres>> {
    static SERVER: Mutex<Weak<Mutex<Postgres>>> = Mutex::new(Weak::new());
    let mut shared = lock(&SERVER);
    shared.upgrade().unwrap_or_else(|| {
        let server = Arc::new(Mutex::new(Postgres::start().unwrap()));
        *shared = Arc::downgrade(&server);
        server
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that failed with the lock has its own message.
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

macro_rules! both {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&super::Database::sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&super::Database::postgres().await).await;
            })*
        }
        mod pooled {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                match super::Database::pooled().await {
                    Some(database) => super::$name(&database).await,
                    None => eprintln!("PgBouncer is older than 1.21: NOT tested"),
                }
            })*
        }
    };
}

both! {
    a_job_goes_from_its_upload_to_its_end
    every_picture_is_finished_once
    a_lease_that_ran_out_is_handed_over
    a_renewed_lease_lasts
    only_a_reading_that_began_and_never_ended_counts
    what_is_postponed_waits_and_is_left_to_others
    what_failed_can_be_retried
    a_file_is_read_page_by_page
    pages_are_finished_once_whoever_reads_them
    a_bad_page_is_retried_alone
    a_cancelled_or_forgotten_file_leaves_no_page
    tables_with_jobs_of_an_earlier_version_are_migrated
    jobs_are_listed_newest_first_and_deleted_when_over
    what_an_owner_has_waiting_is_known
    forgetting_reaches_into_jobs
    a_nonce_is_used_once
    the_oldest_job_is_read_first
    one_idempotency_key_makes_one_job
    a_cancelled_job_stays_cancelled
    a_job_cancelled_amid_its_work_ends_once
    what_a_worker_gives_back_is_not_counted
    a_job_takes_pictures_only_while_it_receives
    an_end_is_recorded_whole_or_not_at_all
    what_is_old_is_purged
    history_is_the_owners_newest_first
    words_are_found_as_people_write_them
    no_query_and_no_text_is_too_odd
    keys_are_kept_and_revoked
    a_webhook_is_due_when_its_job_is_over
    tables_of_a_newer_version_are_refused
    a_new_database_can_be_opened_by_several_at_once
}

fn new_job(owner: &str) -> NewJob {
    NewJob {
        owner: owner.into(),
        requirements: json!({"language": "chinese"}),
        idempotency_key: None,
    }
}

/// A job of some pictures, started. Picture `i` is the bytes `[i, i]`.
async fn job(store: &dyn Store, owner: &str, pictures: u32) -> Job {
    let Created::New(job) = store.create_job(new_job(owner)).await.unwrap() else {
        panic!("a job without a key is always new");
    };
    for index in 0..pictures {
        let key = ItemKey::file(job.id, index);
        let byte = u8::try_from(index % 256).unwrap();
        let name = format!("{index}.png");
        store
            .add_item(key, &name, None, &[byte, byte])
            .await
            .unwrap();
    }
    store.start_job(job.id).await.unwrap()
}

fn entry(owner: &str, name: &str, text: &str) -> NewEntry {
    NewEntry {
        id: Uuid::now_v7(),
        owner: owner.into(),
        name: name.into(),
        text: text.into(),
        document: json!({"text": text}).to_string().into(),
        original: None,
    }
}

fn done(claim: &Claim) -> Outcome {
    let entry = entry(&claim.owner, &claim.name, "read");
    Outcome::Done {
        id: entry.id,
        result: json!([{"text": claim.name}]),
        history: vec![entry],
    }
}

async fn claim(store: &dyn Store, worker: Uuid, max: u32) -> Vec<Claim> {
    store.claim(worker, max, LEASE, &[]).await.unwrap()
}

async fn found(store: &dyn Store, query: &str) -> Vec<String> {
    let found = store.history("o", Some(query), None, 1000).await.unwrap();
    let mut names: Vec<String> = found.into_iter().map(|s| s.name).collect();
    names.sort();
    names
}

async fn a_job_goes_from_its_upload_to_its_end(database: &Database) {
    let store = &*database.store;
    store.ping().await.unwrap();
    let Created::New(made) = store.create_job(new_job("o")).await.unwrap() else {
        panic!("new");
    };
    assert_eq!((made.state, made.total), (State::Receiving, 0));
    assert_eq!(made.requirements, json!({"language": "chinese"}));
    let names = ["a.png", "b\0.png", ""];
    for (index, name) in (0..).zip(names) {
        let key = ItemKey::file(made.id, index);
        store
            .add_item(key, name, None, &[index as u8])
            .await
            .unwrap();
    }
    assert_eq!(store.backlog().await.unwrap(), 0);
    assert!(claim(store, Uuid::now_v7(), 10).await.is_empty());

    let started = store.start_job(made.id).await.unwrap();
    assert_eq!((started.state, started.total), (State::Queued, 3));
    assert_eq!(store.backlog().await.unwrap(), 3);
    assert!(store.job("p", made.id).await.unwrap().is_none());

    let worker = Uuid::now_v7();
    let claims = claim(store, worker, 2).await;
    assert_eq!(claims.len(), 2);
    assert_eq!(claims[1].name, "b\u{fffd}.png");
    assert_eq!((claims[1].item.index, claims[1].attempt), (1, 0));
    assert_eq!(
        (&claims[1].owner[..], &claims[1].picture[..]),
        ("o", &[1][..])
    );
    assert_eq!(claims[1].requirements, json!({"language": "chinese"}));
    assert_eq!(store.backlog().await.unwrap(), 1);
    let running = store.job("o", made.id).await.unwrap().unwrap();
    assert_eq!(running.state, State::Running);
    assert!(running.started_at.unwrap() >= running.created_at);
    assert_eq!(running.finished_at, None);

    assert!(
        store
            .finish(worker, claims[0].item, done(&claims[0]))
            .await
            .unwrap()
    );
    let problem = json!({"code": "broken\0", "detail": "\u{0}"});
    let failed = Outcome::Failed(problem.clone());
    assert!(
        store
            .finish(worker, claims[1].item, failed.clone())
            .await
            .unwrap()
    );
    assert!(
        !store
            .finish(worker, claims[1].item, failed.clone())
            .await
            .unwrap()
    );
    let last = claim(store, worker, 2).await.remove(0);
    let amid = store.job("o", made.id).await.unwrap().unwrap();
    assert_eq!((amid.state, amid.done, amid.failed), (State::Running, 1, 1));
    assert!(store.finish(worker, last.item, done(&last)).await.unwrap());

    let over = store.job("o", made.id).await.unwrap().unwrap();
    assert_eq!((over.state, over.done, over.failed), (State::Done, 2, 1));
    assert!(over.finished_at.unwrap() >= over.started_at.unwrap());
    let items = store.items(made.id, 0, 10).await.unwrap();
    let states: Vec<State> = items.iter().map(|i| i.state).collect();
    assert_eq!(states, [State::Done, State::Failed, State::Done]);
    assert_eq!(items[0].result, Some(json!([{"text": "a.png"}])));
    assert_eq!(items[1].error, Some(problem));
    assert!(items[2].finished_at.is_some());
    let rest = store.items(made.id, 1, 1).await.unwrap();
    assert_eq!((rest.len(), rest[0].index), (1, 1));
    assert_eq!(store.history("o", None, None, 10).await.unwrap().len(), 2);

    let empty = job(store, "o", 0).await;
    assert_eq!(empty.state, State::Done);
    assert!(empty.finished_at.is_some());
}

async fn every_picture_is_finished_once(database: &Database) {
    let first = job(&*database.store, "o", 50).await;
    let second = job(&*database.store, "o", 150).await;
    let replicas = [database.again().await, database.again().await];
    let workers = (0..8).map(|i| {
        let store = Arc::clone(&replicas[i % 2]);
        tokio::spawn(async move {
            let worker = Uuid::now_v7();
            let mut finished = Vec::new();
            loop {
                let claims = claim(&*store, worker, 3).await;
                if claims.is_empty() {
                    return finished;
                }
                for claim in claims {
                    let byte = (claim.item.index % 256) as u8;
                    assert_eq!((&claim.picture[..], claim.attempt), (&[byte, byte][..], 0));
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    assert!(
                        store
                            .finish(worker, claim.item, done(&claim))
                            .await
                            .unwrap()
                    );
                    finished.push(claim.item);
                }
            }
        })
    });
    let finished: Vec<ItemKey> = join_all(workers)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();
    assert_eq!(finished.len(), 200);
    assert_eq!(finished.iter().collect::<HashSet<_>>().len(), 200);
    for (job, total) in [(first, 50), (second, 150)] {
        let job = database.store.job("o", job.id).await.unwrap().unwrap();
        assert_eq!(
            (job.state, job.done, job.total),
            (State::Done, total, total)
        );
    }
    let history = database.store.history("o", None, None, 1000).await.unwrap();
    assert_eq!(history.len(), 200);
}

async fn a_lease_that_ran_out_is_handed_over(database: &Database) {
    let store = &*database.store;
    job(store, "o", 1).await;
    let (slow, quick) = (Uuid::now_v7(), Uuid::now_v7());
    let short = Duration::from_millis(300);
    let claims = store.claim(slow, 1, short, &[]).await.unwrap();
    let item = claims[0].item;
    assert!(claim(store, quick, 1).await.is_empty());
    tokio::time::sleep(short * 2).await;
    assert_eq!(store.backlog().await.unwrap(), 1);
    // Nobody has taken it, but somebody could be about to.
    assert!(!store.finish(slow, item, done(&claims[0])).await.unwrap());

    let taken = claim(store, quick, 1).await;
    // It had not begun.
    assert_eq!((taken[0].item, taken[0].attempt), (item, 0));
    assert_eq!(taken[0].picture, [0, 0]);
    assert_eq!(store.renew(slow, &[item], LEASE).await.unwrap(), [item]);
    assert!(!store.finish(slow, item, done(&claims[0])).await.unwrap());
    assert_eq!(store.release(slow).await.unwrap(), 0);
    assert!(store.finish(quick, item, done(&taken[0])).await.unwrap());
    assert!(!store.finish(quick, item, done(&taken[0])).await.unwrap());
    assert_eq!(store.history("o", None, None, 10).await.unwrap().len(), 1);
    let job = store.job("o", item.job).await.unwrap().unwrap();
    assert_eq!((job.state, job.done), (State::Done, 1));
}

async fn a_renewed_lease_lasts(database: &Database) {
    let store = &*database.store;
    job(store, "o", 2).await;
    let worker = Uuid::now_v7();
    let short = Duration::from_millis(300);
    let claims = store.claim(worker, 2, short, &[]).await.unwrap();
    let items = [claims[0].item, claims[1].item];
    assert!(
        store
            .renew(worker, &items[..1], LEASE)
            .await
            .unwrap()
            .is_empty()
    );
    tokio::time::sleep(short * 2).await;
    assert!(
        store
            .finish(worker, items[0], done(&claims[0]))
            .await
            .unwrap()
    );
    // Late, but nobody has it: the work goes on.
    assert!(
        store
            .renew(worker, &items[1..], LEASE)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        store
            .finish(worker, items[1], done(&claims[1]))
            .await
            .unwrap()
    );
    // What is finished is no longer held.
    assert_eq!(store.renew(worker, &items, LEASE).await.unwrap(), items);
    assert!(store.renew(worker, &[], LEASE).await.unwrap().is_empty());
}

async fn only_a_reading_that_began_and_never_ended_counts(database: &Database) {
    let store = &*database.store;
    job(store, "o", 2).await;
    let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
    let short = Duration::from_millis(300);
    let claims = store.claim(first, 2, short, &[]).await.unwrap();
    assert!(store.begin(first, claims[0].item).await.unwrap());
    assert!(!store.begin(first, claims[0].item).await.unwrap());
    assert!(!store.begin(second, claims[1].item).await.unwrap());
    tokio::time::sleep(short * 2).await;
    let attempts = |claims: &[Claim]| -> Vec<u32> { claims.iter().map(|c| c.attempt).collect() };
    let claims = store.claim(second, 2, short, &[]).await.unwrap();
    assert_eq!(attempts(&claims), [1, 0]);
    assert!(!store.begin(first, claims[0].item).await.unwrap());
    for claim in &claims {
        assert!(store.begin(second, claim.item).await.unwrap());
    }
    tokio::time::sleep(short * 2).await;
    assert_eq!(attempts(&claim(store, first, 2).await), [2, 1]);
}

async fn what_is_postponed_waits_and_is_left_to_others(database: &Database) {
    let store = &*database.store;
    let id = job(store, "o", 2).await.id;
    let (worker, other) = (Uuid::now_v7(), Uuid::now_v7());
    let claims = claim(store, worker, 2).await;
    let [first, second] = [claims[0].item, claims[1].item];
    let pause = Duration::from_millis(400);
    assert!(store.begin(worker, first).await.unwrap());
    assert!(store.postpone(worker, first, pause, true).await.unwrap());
    assert!(!store.postpone(worker, first, pause, true).await.unwrap());
    let returned = store.postpone(worker, second, Duration::ZERO, false).await;
    assert!(returned.unwrap());
    assert_eq!(store.backlog().await.unwrap(), 2);
    // The first waits, the second is at hand, but not for those who avoid the job.
    assert!(
        store
            .claim(other, 9, LEASE, &[id])
            .await
            .unwrap()
            .is_empty()
    );
    let others = [Uuid::now_v7()];
    let now = store.claim(other, 9, LEASE, &others).await.unwrap();
    assert_eq!(now.len(), 1);
    assert_eq!(
        (now[0].item, now[0].attempt, now[0].retries),
        (second, 0, 0)
    );
    tokio::time::sleep(pause * 2).await;
    let later = claim(store, other, 9).await;
    assert_eq!(later.len(), 1);
    assert_eq!(
        (later[0].item, later[0].attempt, later[0].retries),
        (first, 0, 1)
    );
}

async fn what_failed_can_be_retried(database: &Database) {
    let store = &*database.store;
    let id = job(store, "o", 3).await.id;
    let worker = Uuid::now_v7();
    let claims = claim(store, worker, 3).await;
    let failed = Outcome::Failed(json!({"code": "x"}));
    for (claim, outcome) in claims
        .iter()
        .zip([done(&claims[0]), failed.clone(), failed])
    {
        store.begin(worker, claim.item).await.unwrap();
        assert!(store.finish(worker, claim.item, outcome).await.unwrap());
    }
    assert!(store.retry_job("p", id).await.unwrap().is_none());
    let retried = store.retry_job("o", id).await.unwrap().unwrap();
    assert_eq!(
        (retried.state, retried.done, retried.failed),
        (State::Running, 1, 0)
    );
    assert_eq!(retried.finished_at, None);
    let again = claim(store, worker, 9).await;
    let indices: Vec<u32> = again.iter().map(|c| c.item.index).collect();
    assert_eq!(indices, [1, 2]);
    assert_eq!((&again[1].picture[..], again[1].attempt), (&[2, 2][..], 0));
    assert!(store.items(id, 1, 1).await.unwrap()[0].error.is_none());
    for claim in &again {
        assert!(store.finish(worker, claim.item, done(claim)).await.unwrap());
    }
    let over = store.retry_job("o", id).await.unwrap().unwrap();
    assert_eq!((over.state, over.done, over.failed), (State::Done, 3, 0));
    assert!(claim(store, worker, 9).await.is_empty());
    // What was cancelled stays so.
    let cancelled = job(store, "o", 1).await.id;
    store.cancel_job("o", cancelled).await.unwrap();
    let kept = store.retry_job("o", cancelled).await.unwrap().unwrap();
    assert_eq!(kept.state, State::Cancelled);
}

fn page(claim: &Claim) -> Outcome {
    Outcome::Done {
        id: claim.answer.unwrap(),
        result: json!({"text": claim.item.page}),
        history: Vec::new(),
    }
}

/// The end of a file that was split.
fn end(claim: &Claim) -> Outcome {
    let mut entry = entry(&claim.owner, &claim.name, "whole");
    entry.id = claim.answer.unwrap();
    Outcome::Done {
        id: entry.id,
        result: Value::Null,
        history: vec![entry],
    }
}

/// Claims a file and splits it into these pages.
async fn split(store: &dyn Store, pages: &[u32]) -> (ItemKey, Uuid) {
    let (worker, answer) = (Uuid::now_v7(), Uuid::now_v7());
    let file = claim(store, worker, 1).await.remove(0);
    store.begin(worker, file.item).await.unwrap();
    assert!(store.split(worker, file.item, answer, pages).await.unwrap());
    assert!(!store.split(worker, file.item, answer, pages).await.unwrap());
    // It is no longer held as a whole.
    assert_eq!(
        store.renew(worker, &[file.item], LEASE).await.unwrap(),
        [file.item]
    );
    assert!(!store.finish(worker, file.item, done(&file)).await.unwrap());
    (file.item, answer)
}

fn numbers(claims: &[Claim]) -> Vec<Option<u32>> {
    claims.iter().map(|claim| claim.item.page).collect()
}

async fn a_file_is_read_page_by_page(database: &Database) {
    let store = &*database.store;
    let Created::New(made) = store.create_job(new_job("o")).await.unwrap() else {
        panic!("new");
    };
    let options = json!({"pages": "1-5", "password": "x\0"});
    for (index, options) in [(0, Some(&options)), (1, None)] {
        let key = ItemKey::file(made.id, index);
        store.add_item(key, "f", options, b"file").await.unwrap();
    }
    store.start_job(made.id).await.unwrap();
    let (file, answer) = split(store, &[0, 2, 4]).await;
    let job = async || store.job("o", made.id).await.unwrap().unwrap();
    assert_eq!((job().await.total, job().await.done), (4, 0));
    assert_eq!(store.backlog().await.unwrap(), 4);
    assert_eq!(store.picture(file).await.unwrap().unwrap(), b"file");

    // Pages come before the next file.
    let (worker, other) = (Uuid::now_v7(), Uuid::now_v7());
    let short = Duration::from_millis(300);
    let claims = store.claim(worker, 2, short, &[]).await.unwrap();
    assert_eq!(numbers(&claims), [Some(0), Some(2)]);
    let first = &claims[0];
    assert_eq!(
        (&first.options, first.answer),
        (&Some(options.clone()), Some(answer))
    );
    assert_eq!((first.pages, &first.picture[..]), (Some(3), &b""[..]));
    let others = claim(store, other, 9).await;
    assert_eq!(numbers(&others), [Some(4), None]);
    assert!(store.begin(worker, first.item).await.unwrap());
    assert!(!store.begin(other, first.item).await.unwrap());

    // Each has a lease, attempts and retries of its own.
    tokio::time::sleep(short * 2).await;
    assert_eq!(store.backlog().await.unwrap(), 2);
    assert!(!store.finish(worker, first.item, page(first)).await.unwrap());
    let held = [claims[1].item, others[0].item];
    assert_eq!(
        store.renew(worker, &held, LEASE).await.unwrap(),
        [others[0].item]
    );
    let again = claim(store, other, 9).await;
    assert_eq!((numbers(&again), again[0].attempt), (vec![Some(0)], 1));
    assert!(store.begin(other, first.item).await.unwrap());
    assert!(
        store
            .postpone(other, first.item, Duration::ZERO, true)
            .await
            .unwrap()
    );
    assert_eq!(store.release(worker).await.unwrap(), 1);
    let again = claim(store, worker, 9).await;
    assert_eq!(numbers(&again), [Some(0), Some(2)]);
    let tried = |claim: &Claim| (claim.attempt, claim.retries);
    assert_eq!((tried(&again[0]), tried(&again[1])), ((1, 1), (0, 0)));

    // Results are there as they come.
    assert!(
        store
            .finish(worker, again[0].item, page(&again[0]))
            .await
            .unwrap()
    );
    assert!(
        !store
            .finish(worker, again[0].item, page(&again[0]))
            .await
            .unwrap()
    );
    let problem = json!({"code": "x\0"});
    let bad = Outcome::Failed(problem.clone());
    assert!(store.finish(other, others[0].item, bad).await.unwrap());
    assert!(claim(store, worker, 9).await.is_empty());
    assert!(
        store
            .finish(other, others[1].item, done(&others[1]))
            .await
            .unwrap()
    );
    let amid = job().await;
    assert_eq!((amid.state, amid.done, amid.failed), (State::Running, 2, 1));
    let pages = store.pages(file, 0, 9).await.unwrap();
    let states: Vec<_> = pages.iter().map(|page| (page.index, page.state)).collect();
    assert_eq!(
        states,
        [(0, State::Done), (2, State::Running), (4, State::Failed)]
    );
    assert_eq!(pages[0].result.as_deref(), Some("{\"text\":0}"));
    assert_eq!(pages[2].error, Some(problem.to_string()));
    assert_eq!(store.pages(file, 1, 1).await.unwrap()[0].index, 2);

    // With the last one, the file is there for its end.
    assert!(
        store
            .finish(worker, again[1].item, page(&again[1]))
            .await
            .unwrap()
    );
    assert_eq!(store.backlog().await.unwrap(), 1);
    let last = claim(store, other, 9).await;
    assert_eq!(
        (numbers(&last), last[0].pages, last[0].attempt),
        (vec![None], Some(3), 0)
    );
    assert!(last[0].picture.is_empty());
    assert!(store.begin(other, last[0].item).await.unwrap());
    assert_eq!(job().await.state, State::Running);
    assert!(
        store
            .finish(other, last[0].item, end(&last[0]))
            .await
            .unwrap()
    );
    let over = job().await;
    assert_eq!(
        (over.state, over.total, over.done, over.failed),
        (State::Done, 4, 3, 1)
    );
    let items = store.items(made.id, 0, 9).await.unwrap();
    assert_eq!(
        (items[0].state, items[0].pages, &items[0].result),
        (State::Done, Some(3), &None)
    );
    assert_eq!((items[1].state, items[1].pages), (State::Done, None));
    // The file stays for the bad page.
    assert!(store.picture(file).await.unwrap().is_some());
    assert!(
        store
            .picture(ItemKey::file(made.id, 1))
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(store.history("o", None, None, 9).await.unwrap().len(), 2);
    // What says how to read it stays as long as the file does: there may be a password in it.
    let kept = "SELECT COUNT(*) FROM items WHERE options IS NOT NULL";
    assert_eq!(database.number(kept).await, 1);
    store.retry_job("o", made.id).await.unwrap();
    for outcome in [page, end] {
        let claims = claim(store, worker, 9).await;
        assert_eq!(claims[0].options, Some(options.clone()));
        let outcome = outcome(&claims[0]);
        assert!(store.finish(worker, claims[0].item, outcome).await.unwrap());
    }
    assert!(store.picture(file).await.unwrap().is_none());
    assert_eq!(database.number(kept).await, 0);
    store.delete_job("o", made.id).await.unwrap().unwrap();
    assert!(store.pages(file, 0, 9).await.unwrap().is_empty());
}

async fn pages_are_finished_once_whoever_reads_them(database: &Database) {
    let id = job(&*database.store, "o", 2).await.id;
    let pages: Vec<u32> = (0..60).collect();
    for _ in 0..2 {
        split(&*database.store, &pages).await;
        // The pages of the first file, before the second is claimed.
        let replicas = [database.again().await, database.again().await];
        let workers = (0..6).map(|i| {
            let store = Arc::clone(&replicas[i % 2]);
            tokio::spawn(async move {
                let worker = Uuid::now_v7();
                let mut ends = 0;
                loop {
                    let claims = store.claim(worker, 3, LEASE, &[]).await.unwrap();
                    if claims.is_empty() {
                        return ends;
                    }
                    for claim in claims {
                        let outcome = match (claim.item.page, claim.pages) {
                            (Some(_), _) => page(&claim),
                            (None, Some(_)) => {
                                ends += 1;
                                end(&claim)
                            }
                            (None, None) => {
                                let wait = Duration::from_secs(1);
                                store
                                    .postpone(worker, claim.item, wait, false)
                                    .await
                                    .unwrap();
                                continue;
                            }
                        };
                        assert!(store.finish(worker, claim.item, outcome).await.unwrap());
                    }
                }
            })
        });
        let ends: u32 = join_all(workers)
            .await
            .into_iter()
            .map(Result::unwrap)
            .sum();
        assert_eq!(ends, 1);
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    let over = database.store.job("o", id).await.unwrap().unwrap();
    assert_eq!((over.state, over.total, over.done), (State::Done, 120, 120));
    for index in 0..2 {
        let pages = database
            .store
            .pages(ItemKey::file(id, index), 0, 100)
            .await
            .unwrap();
        let whole = pages.iter().zip(0..).all(|(page, number)| {
            page.index == number && page.result == Some(json!({"text": number}).to_string())
        });
        assert!(whole && pages.len() == 60);
    }
    assert_eq!(
        database
            .store
            .history("o", None, None, 9)
            .await
            .unwrap()
            .len(),
        2
    );
}

async fn a_bad_page_is_retried_alone(database: &Database) {
    let store = &*database.store;
    let id = job(store, "o", 1).await.id;
    let (file, answer) = split(store, &[0, 1]).await;
    let worker = Uuid::now_v7();
    let finish = async |outcome: fn(&Claim) -> Outcome| {
        let claims = claim(store, worker, 1).await;
        let outcome = outcome(&claims[0]);
        assert!(store.finish(worker, claims[0].item, outcome).await.unwrap());
    };
    let bad = |_: &Claim| Outcome::Failed(json!({"code": "x"}));
    finish(page).await;
    finish(bad).await;
    // While the file isn't over, nothing is.
    store.retry_job("o", id).await.unwrap();
    assert_eq!(store.job("o", id).await.unwrap().unwrap().failed, 1);
    finish(end).await;
    assert_eq!(
        store.job("o", id).await.unwrap().unwrap().state,
        State::Done
    );
    let retried = store.retry_job("o", id).await.unwrap().unwrap();
    assert_eq!(
        (retried.state, retried.done, retried.failed),
        (State::Running, 1, 0)
    );
    let again = claim(store, worker, 9).await;
    assert_eq!(numbers(&again), [Some(1)]);
    store
        .finish(worker, again[0].item, page(&again[0]))
        .await
        .unwrap();
    finish(end).await;
    let over = store.job("o", id).await.unwrap().unwrap();
    assert_eq!(
        (over.state, over.total, over.done, over.failed),
        (State::Done, 2, 2, 0)
    );
    assert!(store.picture(file).await.unwrap().is_none());
    // The same answer, once.
    let history = store.history("o", None, None, 9).await.unwrap();
    assert_eq!((history.len(), history[0].id), (1, answer));

    // Of one whose end failed, the end is retried.
    job(store, "o", 1).await;
    let (file, _) = split(store, &[0, 1]).await;
    finish(page).await;
    finish(page).await;
    finish(bad).await;
    let failed = store.items(file.job, 0, 1).await.unwrap();
    assert_eq!(failed[0].state, State::Failed);
    store.retry_job("o", file.job).await.unwrap();
    finish(end).await;
    let over = store.job("o", file.job).await.unwrap().unwrap();
    assert_eq!((over.state, over.done, over.failed), (State::Done, 2, 0));
}

async fn a_cancelled_or_forgotten_file_leaves_no_page(database: &Database) {
    let store = &*database.store;
    let worker = Uuid::now_v7();
    let cancelled = job(store, "o", 1).await.id;
    let (file, _) = split(store, &[0, 1, 2]).await;
    let claims = claim(store, worker, 2).await;
    store
        .finish(worker, claims[0].item, page(&claims[0]))
        .await
        .unwrap();
    store.cancel_job("o", cancelled).await.unwrap();
    let item = claims[1].item;
    assert_eq!(store.renew(worker, &[item], LEASE).await.unwrap(), [item]);
    assert!(!store.finish(worker, item, page(&claims[1])).await.unwrap());
    assert!(claim(store, worker, 9).await.is_empty());
    assert_eq!(store.backlog().await.unwrap(), 0);
    let pages = store.pages(file, 0, 9).await.unwrap();
    let states: Vec<State> = pages.iter().map(|page| page.state).collect();
    assert_eq!(states, [State::Done, State::Cancelled, State::Cancelled]);
    assert!(store.picture(file).await.unwrap().is_none());

    job(store, "o", 1).await;
    let (file, answer) = split(store, &[0, 1]).await;
    for outcome in [page, |_: &Claim| Outcome::Failed(json!({})), end] {
        let claims = claim(store, worker, 1).await;
        store
            .finish(worker, claims[0].item, outcome(&claims[0]))
            .await
            .unwrap();
    }
    assert!(store.forget("o", answer).await.unwrap());
    let pages = store.pages(file, 0, 9).await.unwrap();
    assert!(pages.iter().all(|page| page.result.is_none()));
    // What is left can't be made whole again.
    assert!(store.picture(file).await.unwrap().is_none());
    let kept = store.retry_job("o", file.job).await.unwrap().unwrap();
    assert_eq!(kept.state, State::Done);

    let amid = job(store, "o", 1).await.id;
    let (file, _) = split(store, &[0, 1]).await;
    let claims = claim(store, worker, 1).await;
    store
        .finish(worker, claims[0].item, page(&claims[0]))
        .await
        .unwrap();
    store.forget_all("o").await.unwrap();
    assert!(store.pages(file, 0, 9).await.unwrap()[0].result.is_none());
    assert_eq!(store.job("o", amid).await.unwrap().unwrap().done, 1);
}

/// Tables as version 5 left them, with a job amid its work.
async fn tables_with_jobs_of_an_earlier_version_are_migrated(database: &Database) {
    let earlier = [
        "DROP TABLE pages",
        "ALTER TABLE items DROP COLUMN pages",
        "ALTER TABLE items DROP COLUMN options",
        "DELETE FROM _sqlx_migrations WHERE version = 6",
    ];
    let id = job(&*database.store, "o", 3).await.id;
    let worker = Uuid::now_v7();
    let claims = claim(&*database.store, worker, 1).await;
    assert!(
        database
            .store
            .finish(worker, claims[0].item, done(&claims[0]))
            .await
            .unwrap()
    );
    database.run(&earlier).await;
    let store = database.again().await;
    let before = store.job("o", id).await.unwrap().unwrap();
    assert_eq!((before.total, before.done), (3, 1));
    split(&*store, &[0, 1]).await;
    for outcome in [page, page] {
        let claims = claim(&*store, worker, 1).await;
        assert!(
            store
                .finish(worker, claims[0].item, outcome(&claims[0]))
                .await
                .unwrap()
        );
    }
    for claim in claim(&*store, worker, 9).await {
        let outcome = if claim.pages.is_some() {
            end(&claim)
        } else {
            done(&claim)
        };
        assert!(store.finish(worker, claim.item, outcome).await.unwrap());
    }
    let over = store.job("o", id).await.unwrap().unwrap();
    assert_eq!((over.state, over.total, over.done), (State::Done, 4, 4));
    let items = store.items(id, 0, 9).await.unwrap();
    assert_eq!(items[0].result, Some(json!([{"text": "0.png"}])));
}

async fn jobs_are_listed_newest_first_and_deleted_when_over(database: &Database) {
    let store = &*database.store;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(job(store, "o", 1).await.id);
    }
    job(store, "p", 1).await;
    ids.reverse();
    let listed = async |before, limit| -> Vec<Uuid> {
        let jobs = store.jobs("o", before, limit).await.unwrap();
        jobs.iter().map(|job| job.id).collect()
    };
    assert_eq!(listed(None, 3).await, ids[..3]);
    assert_eq!(listed(Some(ids[2]), 9).await, ids[3..]);
    let some = [ids[0], Uuid::now_v7(), ids[4]];
    let found: HashSet<Uuid> = store
        .jobs_by_id(&some)
        .await
        .unwrap()
        .iter()
        .map(|job| job.id)
        .collect();
    assert_eq!(found, HashSet::from([ids[0], ids[4]]));
    assert!(store.jobs_by_id(&[]).await.unwrap().is_empty());

    assert!(store.delete_job("o", ids[0]).await.unwrap().is_none());
    store.cancel_job("o", ids[0]).await.unwrap();
    assert!(store.delete_job("p", ids[0]).await.unwrap().is_none());
    let deleted = store.delete_job("o", ids[0]).await.unwrap().unwrap();
    assert_eq!(deleted.state, State::Cancelled);
    assert_eq!(listed(None, 9).await, ids[1..]);
    assert!(store.items(ids[0], 0, 9).await.unwrap().is_empty());
}

async fn what_an_owner_has_waiting_is_known(database: &Database) {
    let store = &*database.store;
    assert_eq!(store.waiting("o").await.unwrap(), Waiting::default());
    let id = job(store, "o", 3).await.id;
    job(store, "p", 1).await;
    let worker = Uuid::now_v7();
    let claims = claim(store, worker, 1).await;
    store
        .finish(worker, claims[0].item, done(&claims[0]))
        .await
        .unwrap();
    let waiting = Waiting {
        pictures: 2,
        bytes: 6,
    };
    assert_eq!(store.waiting("o").await.unwrap(), waiting);
    store.cancel_job("o", id).await.unwrap();
    assert_eq!(store.waiting("o").await.unwrap(), Waiting::default());
}

async fn forgetting_reaches_into_jobs(database: &Database) {
    let store = &*database.store;
    let worker = Uuid::now_v7();
    let over = job(store, "o", 1).await.id;
    let amid = job(store, "o", 3).await.id;
    let others = job(store, "p", 1).await.id;
    for _ in 0..3 {
        let claims = claim(store, worker, 1).await;
        store
            .finish(worker, claims[0].item, done(&claims[0]))
            .await
            .unwrap();
    }
    // One answer, wherever it is.
    let newest = store.history("o", None, None, 1).await.unwrap()[0].id;
    assert!(store.forget("o", newest).await.unwrap());
    let results = async |id| -> Vec<bool> {
        let items = store.items(id, 0, 9).await.unwrap();
        items.iter().map(|item| item.result.is_some()).collect()
    };
    assert_eq!(results(amid).await, [true, false, false]);
    let last = claim(store, worker, 9).await;
    assert_eq!(store.forget_all("o").await.unwrap(), 2);
    assert!(store.job("o", over).await.unwrap().is_none());
    assert_eq!(results(amid).await, [false; 3]);
    assert_eq!(store.job("o", amid).await.unwrap().unwrap().done, 2);
    // What is read afterwards is kept, and so is what others have.
    for claim in &last {
        assert!(store.finish(worker, claim.item, done(claim)).await.unwrap());
    }
    assert_eq!(results(amid).await, [false, false, true]);
    assert_eq!(results(others).await, [true]);
}

async fn a_nonce_is_used_once(database: &Database) {
    let replicas = [database.again().await, database.again().await];
    let (now, hash) = (maoocr_server::auth::now(), [7; 32]);
    let tasks = (0..16).map(|i| {
        let store = Arc::clone(&replicas[i % 2]);
        tokio::spawn(async move { store.first_use(&hash, now + 60_000).await.unwrap() })
    });
    let firsts = join_all(tasks).await;
    assert_eq!(
        firsts.into_iter().filter(|f| *f.as_ref().unwrap()).count(),
        1
    );
    let store = &*database.store;
    assert!(store.first_use(&[8; 32], now - 1000).await.unwrap());
    assert_eq!(store.forget_nonces().await.unwrap(), 1);
    assert!(!store.first_use(&hash, now + 60_000).await.unwrap());
    assert!(store.first_use(&[8; 32], now + 60_000).await.unwrap());
}

async fn the_oldest_job_is_read_first(database: &Database) {
    let store = &*database.store;
    let jobs = [job(store, "o", 3).await.id, job(store, "p", 3).await.id];
    let worker = Uuid::now_v7();
    let short = Duration::from_millis(300);
    let first = store.claim(worker, 1, short, &[]).await.unwrap();
    assert_eq!((first[0].item.job, first[0].item.index), (jobs[0], 0));
    let order = |claims: &[Claim]| -> Vec<(Uuid, u32)> {
        claims.iter().map(|c| (c.item.job, c.item.index)).collect()
    };
    let next = claim(store, worker, 3).await;
    assert_eq!(order(&next), [(jobs[0], 1), (jobs[0], 2), (jobs[1], 0)]);
    tokio::time::sleep(short * 2).await;
    let rest = claim(store, worker, 9).await;
    assert_eq!(order(&rest), [(jobs[0], 0), (jobs[1], 1), (jobs[1], 2)]);
}

async fn one_idempotency_key_makes_one_job(database: &Database) {
    let replicas = [database.again().await, database.again().await];
    let with_key = |owner: &str| NewJob {
        idempotency_key: Some("the same".into()),
        ..new_job(owner)
    };
    let tasks = (0..16).map(|i| {
        let store = Arc::clone(&replicas[i % 2]);
        let job = with_key("o");
        tokio::spawn(async move { store.create_job(job).await.unwrap() })
    });
    let mut new = 0;
    let mut ids = HashSet::new();
    for created in join_all(tasks).await {
        match created.unwrap() {
            Created::New(job) => {
                new += 1;
                ids.insert(job.id);
            }
            Created::Existing(job) => {
                ids.insert(job.id);
            }
        }
    }
    assert_eq!((new, ids.len()), (1, 1));
    let store = &*database.store;
    assert!(matches!(
        store.create_job(with_key("p")).await.unwrap(),
        Created::New(_)
    ));
    for id in ids {
        store.abandon_job(id).await.unwrap();
    }
    assert!(matches!(
        store.create_job(with_key("o")).await.unwrap(),
        Created::New(_)
    ));
}

async fn a_cancelled_job_stays_cancelled(database: &Database) {
    let store = &*database.store;
    let id = job(store, "o", 3).await.id;
    let worker = Uuid::now_v7();
    let claims = claim(store, worker, 2).await;
    assert!(
        store
            .finish(worker, claims[0].item, done(&claims[0]))
            .await
            .unwrap()
    );
    assert!(store.cancel_job("p", id).await.unwrap().is_none());
    let job = store.cancel_job("o", id).await.unwrap().unwrap();
    assert_eq!((job.state, job.done), (State::Cancelled, 1));
    assert!(job.finished_at.is_some());
    let lost = store.renew(worker, &[claims[1].item], LEASE).await.unwrap();
    assert_eq!(lost, [claims[1].item]);
    assert!(
        !store
            .finish(worker, claims[1].item, done(&claims[1]))
            .await
            .unwrap()
    );
    assert!(claim(store, worker, 9).await.is_empty());
    assert_eq!(store.backlog().await.unwrap(), 0);
    let states: Vec<State> = store
        .items(id, 0, 9)
        .await
        .unwrap()
        .iter()
        .map(|i| i.state)
        .collect();
    assert_eq!(states, [State::Done, State::Cancelled, State::Cancelled]);
    let again = store.cancel_job("o", id).await.unwrap().unwrap();
    assert_eq!(again.finished_at, job.finished_at);
    assert_eq!(store.start_job(id).await.unwrap().state, State::Cancelled);

    // What is over stays as it is.
    let over = self::job(store, "o", 0).await;
    let kept = store.cancel_job("o", over.id).await.unwrap().unwrap();
    assert_eq!(kept.state, State::Done);
}

async fn a_job_cancelled_amid_its_work_ends_once(database: &Database) {
    let id = job(&*database.store, "o", 100).await.id;
    let workers: Vec<_> = (0..6)
        .map(|_| {
            let store = Arc::clone(&database.store);
            tokio::spawn(async move {
                let worker = Uuid::now_v7();
                let mut finished = 0;
                let start = Instant::now();
                loop {
                    let claims = claim(&*store, worker, 4).await;
                    if claims.is_empty() {
                        return finished;
                    }
                    // One of them is always given back, so only the cancelling ends this.
                    assert!(start.elapsed() < Duration::from_secs(30));
                    let items: Vec<ItemKey> = claims.iter().map(|c| c.item).collect();
                    store.renew(worker, &items, LEASE).await.unwrap();
                    for claim in &claims[1..] {
                        if store.finish(worker, claim.item, done(claim)).await.unwrap() {
                            finished += 1;
                        }
                    }
                    store.release(worker).await.unwrap();
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(60)).await;
    let cancelled = database.store.cancel_job("o", id).await.unwrap().unwrap();
    let finished: u32 = join_all(workers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .sum();
    let job = database.store.job("o", id).await.unwrap().unwrap();
    assert_eq!((job.state, job.done), (cancelled.state, finished));
    let mut states = HashMap::new();
    for item in database.store.items(id, 0, 100).await.unwrap() {
        *states.entry(format!("{:?}", item.state)).or_insert(0) += 1;
    }
    assert_eq!(
        states.get("Done").copied().unwrap_or(0),
        finished,
        "{states:?}"
    );
    assert_eq!(states.values().sum::<u32>(), 100);
    assert!(
        states.keys().all(|s| s == "Done" || s == "Cancelled"),
        "{states:?}"
    );
    let history = database.store.history("o", None, None, 1000).await.unwrap();
    assert_eq!(history.len(), finished as usize);
}

async fn what_a_worker_gives_back_is_not_counted(database: &Database) {
    let store = &*database.store;
    job(store, "o", 3).await;
    let (leaving, staying) = (Uuid::now_v7(), Uuid::now_v7());
    let given = claim(store, leaving, 2).await;
    assert_eq!(given.len(), 2);
    assert!(store.begin(leaving, given[0].item).await.unwrap());
    assert_eq!(claim(store, staying, 1).await.len(), 1);
    assert_eq!(store.release(leaving).await.unwrap(), 2);
    let claims = claim(store, staying, 9).await;
    assert_eq!(claims.len(), 2);
    assert!(claims.iter().all(|c| c.attempt == 0));
}

async fn a_job_takes_pictures_only_while_it_receives(database: &Database) {
    let store = &*database.store;
    let id = job(store, "o", 1).await.id;
    let refused = async |job, index| {
        let result = store
            .add_item(ItemKey::file(job, index), "", None, b"x")
            .await;
        assert!(
            matches!(result, Err(StoreError::NotReceiving(id)) if id == job),
            "{result:?}"
        );
    };
    refused(id, 1).await;
    refused(Uuid::now_v7(), 0).await;
    assert!(matches!(
        store.start_job(Uuid::now_v7()).await,
        Err(StoreError::NotReceiving(_))
    ));
    // Started already: abandoning comes too late.
    store.abandon_job(id).await.unwrap();
    assert_eq!(store.start_job(id).await.unwrap().total, 1);

    let Created::New(open) = store.create_job(new_job("o")).await.unwrap() else {
        panic!("new");
    };
    refused(open.id, 1).await;
    let key = ItemKey::file(open.id, 0);
    store.add_item(key, "", None, b"x").await.unwrap();
    refused(open.id, 0).await;
    assert_eq!(
        store.items(open.id, 0, 9).await.unwrap()[0].state,
        State::Receiving
    );
    store.abandon_job(open.id).await.unwrap();
    assert!(store.job("o", open.id).await.unwrap().is_none());
    assert!(store.items(open.id, 0, 9).await.unwrap().is_empty());
}

async fn an_end_is_recorded_whole_or_not_at_all(database: &Database) {
    let store = &*database.store;
    let id = job(store, "o", 1).await.id;
    let worker = Uuid::now_v7();
    let claims = claim(store, worker, 1).await;
    let twice = entry("o", "twice", "text");
    let outcome = |history| Outcome::Done {
        id: Uuid::now_v7(),
        result: json!([]),
        history,
    };
    let bad = outcome(vec![
        entry("o", "once", "text"),
        twice.clone(),
        twice.clone(),
    ]);
    let result = store.finish(worker, claims[0].item, bad).await;
    assert!(matches!(result, Err(StoreError::Database(_))), "{result:?}");
    assert!(store.history("o", None, None, 9).await.unwrap().is_empty());
    assert!(found(store, "text").await.is_empty());
    let job = store.job("o", id).await.unwrap().unwrap();
    assert_eq!((job.state, job.done), (State::Running, 0));
    assert!(
        store
            .finish(worker, claims[0].item, outcome(vec![twice]))
            .await
            .unwrap()
    );
    assert_eq!(found(store, "text").await, ["twice"]);
    assert!(
        store
            .remember(vec![entry("o", "x", "text"); 2])
            .await
            .is_err()
    );
    assert_eq!(found(store, "text").await, ["twice"]);
}

async fn what_is_old_is_purged(database: &Database) {
    let store = &*database.store;
    let worker = Uuid::now_v7();
    let over = job(store, "o", 1).await;
    let claims = claim(store, worker, 1).await;
    assert!(
        store
            .finish(worker, claims[0].item, done(&claims[0]))
            .await
            .unwrap()
    );
    let waiting = job(store, "o", 1).await;
    let Created::New(receiving) = store.create_job(new_job("o")).await.unwrap() else {
        panic!("new");
    };
    let key = ItemKey::file(receiving.id, 0);
    store.add_item(key, "", None, b"x").await.unwrap();
    store
        .remember(vec![entry("o", "kept", "old")])
        .await
        .unwrap();
    let past = over.created_at - 1;
    let future = over.created_at + 3_600_000;

    let nothing = store.purge(Some(past), Some(past), past).await.unwrap();
    assert_eq!(nothing, Purged::default());
    assert_eq!(
        store.purge(None, None, past).await.unwrap(),
        Purged::default()
    );
    let purged = store.purge(None, Some(future), past).await.unwrap();
    assert_eq!(
        purged,
        Purged {
            jobs: 1,
            entries: 0
        }
    );
    assert!(store.job("o", over.id).await.unwrap().is_none());
    let purged = store.purge(Some(future), None, future).await.unwrap();
    assert_eq!(
        purged,
        Purged {
            jobs: 1,
            entries: 2
        }
    );
    assert!(store.items(receiving.id, 0, 9).await.unwrap().is_empty());
    assert!(found(store, "old").await.is_empty());
    assert_eq!(claim(store, worker, 9).await[0].item.job, waiting.id);
}

async fn history_is_the_owners_newest_first(database: &Database) {
    let store = &*database.store;
    let long = "图".repeat(300);
    let mut entries: Vec<NewEntry> = (0..5).map(|i| entry("o", &format!("{i}"), &long)).collect();
    entries[4].original = Some(vec![1, 2, 3].into());
    let ids: Vec<Uuid> = entries.iter().map(|e| e.id).collect();
    store.remember(entries).await.unwrap();
    store
        .remember(vec![entry("p", "other", "x")])
        .await
        .unwrap();

    let page = store.history("o", None, None, 2).await.unwrap();
    assert_eq!([page[0].id, page[1].id], [ids[4], ids[3]]);
    assert_eq!(page[0].preview, "图".repeat(200));
    assert!(page[0].has_original && !page[1].has_original);
    assert!(page[0].created_at > 1_700_000_000_000);
    let page = store.history("o", None, Some(ids[3]), 2).await.unwrap();
    assert_eq!([page[0].id, page[1].id], [ids[2], ids[1]]);
    let page = store
        .history("o", Some("图图"), Some(ids[1]), 2)
        .await
        .unwrap();
    assert_eq!(page.iter().map(|s| s.id).collect::<Vec<_>>(), [ids[0]]);
    assert_eq!(
        store
            .history("o", Some(" \n"), None, 9)
            .await
            .unwrap()
            .len(),
        5
    );

    let whole = store.entry("o", ids[4]).await.unwrap().unwrap();
    assert_eq!(whole.document, json!({"text": long}));
    assert_eq!(whole.summary.name, "4");
    assert!(store.entry("p", ids[4]).await.unwrap().is_none());
    assert_eq!(
        store.original("o", ids[4]).await.unwrap(),
        Some(vec![1, 2, 3])
    );
    assert_eq!(store.original("o", ids[3]).await.unwrap(), None);
    assert_eq!(store.original("p", ids[4]).await.unwrap(), None);

    assert!(!store.forget("p", ids[4]).await.unwrap());
    assert!(store.forget("o", ids[4]).await.unwrap());
    assert!(!store.forget("o", ids[4]).await.unwrap());
    // The next page of a list whose last entry was deleted.
    let page = store.history("o", None, Some(ids[4]), 1).await.unwrap();
    assert_eq!(page[0].id, ids[3]);
    assert_eq!(store.forget_all("o").await.unwrap(), 4);
    assert!(found(store, "图").await.is_empty());
    assert_eq!(store.history("p", None, None, 9).await.unwrap().len(), 1);
}

async fn words_are_found_as_people_write_them(database: &Database) {
    let store = &*database.store;
    let texts = [
        ("zh", "北京市海淀区人民\n法院判决书，第12号"),
        ("zh2", "人们在京都看民间艺术，北方的市场"),
        ("ja", "東京タワーでコーヒーを飲む ﾃﾚﾋﾞ"),
        ("en", "The Café’s RECEIPT: total 12.50 foo-bar"),
        ("de", "Straßenbahn Über ÉCOLE"),
        ("ru", "Счёт-фактура"),
        ("th", "ใบเสร็จรับเงิน"),
        ("ko", "영수증입니다"),
        ("rare", "\u{29e3d}\u{20bb7}野家 wörd"),
        ("Invoice_2024.pdf", "."),
    ];
    let entries = texts.iter().map(|(name, text)| entry("o", name, text));
    store.remember(entries.collect()).await.unwrap();
    store
        .remember(vec![entry("p", "other", "北京 receipt")])
        .await
        .unwrap();
    let cases: &[(&str, &[&str])] = &[
        // Any substring, one and two characters and across a line's end.
        ("京", &["zh", "ja", "zh2"]),
        ("北京", &["zh"]),
        ("京市", &["zh"]),
        ("人民法院", &["zh"]),
        ("海淀区人民法院判决", &["zh"]),
        ("民人", &[]),
        ("北京 判决书", &["zh"]),
        ("判决书 北京", &["zh"]),
        ("北京 艺术", &[]),
        ("第12号", &["zh"]),
        ("タワー", &["ja"]),
        ("テレビ", &["ja"]),
        ("ひ", &[]),
        ("영수", &["ko"]),
        ("수증", &["ko"]),
        ("รับเงิน", &["th"]),
        ("\u{20bb7}野", &["rare"]),
        ("\u{29e3d}", &["rare"]),
        // Whole words without case and accents, the last one as far as it is typed.
        ("cafe", &["en"]),
        ("CAFÉ receipt", &["en"]),
        ("cafe\u{301} rec", &["en"]),
        ("rec cafe", &[]),
        ("eceipt", &[]),
        ("12.50", &["en"]),
        ("50 12", &["en"]),
        ("foo-bar", &["en"]),
        ("foo-b", &["en"]),
        ("bar-foo", &[]),
        ("STRASSENBAHN", &["de"]),
        ("strassen", &["de"]),
        ("uber ecole", &["de"]),
        ("счет", &["ru"]),
        ("СЧЁТ-ФАКТ", &["ru"]),
        ("wor", &["rare"]),
        ("total foo", &["en"]),
        // Names are searched too, but no phrase goes from the name into the text.
        ("invoice 2024", &["Invoice_2024.pdf"]),
        ("invoice_20", &["Invoice_2024.pdf"]),
        ("zh-北京", &[]),
        ("zh 北京", &["zh"]),
    ];
    for (query, names) in cases {
        let expected: HashSet<String> = names.iter().map(|n| (*n).to_string()).collect();
        let got: HashSet<String> = found(store, query).await.into_iter().collect();
        assert_eq!(got, expected, "{query}");
    }
}

async fn no_query_and_no_text_is_too_odd(database: &Database) {
    let store = &*database.store;
    // More positions of one lexeme, more positions, and more lexemes than a tsvector has.
    let often = format!("{}终点", "的".repeat(30_000));
    let many: String = (0..20_000u32)
        .filter_map(|i| char::from_u32(0x4e00 + i * 7919 % 20_000))
        .collect();
    let huge: String = (0..300_000u32).map(|i| format!("word{i} ")).collect();
    let texts = [
        ("often", often),
        ("many", format!("{many} 完了")),
        ("huge", huge),
        (
            "nul",
            "before\0after \\ ' \" % _ \u{1} \u{e000} \u{ffff}".into(),
        ),
        ("long", "x".repeat(3_000_000)),
        ("marks", "a\u{301}".repeat(100_000)),
    ];
    for (name, text) in texts {
        let start = Instant::now();
        store.remember(vec![entry("o", name, &text)]).await.unwrap();
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{name}: {:?}",
            start.elapsed()
        );
    }
    assert_eq!(found(store, "的终点").await, ["often"]);
    assert_eq!(found(store, "终点").await, ["often"]);
    assert_eq!(found(store, "完了").await, ["many"]);
    assert_eq!(found(store, "word777").await, ["huge"]);
    assert_eq!(found(store, "before after").await, ["nul"]);
    assert_eq!(found(store, &"x".repeat(100)).await, ["long"]);

    let start = Instant::now();
    let long = "的".repeat(10_000);
    let words = "a ".repeat(5_000);
    let quotes = "\"'".repeat(5_000);
    let parentheses = "(".repeat(10_000);
    let stars = "a* OR NOT NEAR(".repeat(700);
    let marks = "\u{301}".repeat(10_000);
    let hostile = [
        "\"",
        "'",
        "''",
        "\\",
        "%",
        "_",
        "*",
        "a*",
        "^a",
        "-a",
        "!a",
        "a & b",
        "a | b",
        "a:b",
        "a <-> b",
        ":*",
        "NOT",
        "AND",
        "OR",
        "NEAR(a b)",
        "words:a",
        "{words}:a",
        "a\"b",
        "a'b",
        "a\\'b",
        "'; DROP TABLE jobs; --",
        "\0",
        "a\0b",
        "…",
        "😀",
        "\u{e000}",
        "\u{fffd}",
        "()",
        "$1",
        "?1",
        "%s",
        "E'\\x'",
        "'a':*",
        &long,
        &words,
        &quotes,
        &parentheses,
        &stars,
        &marks,
    ];
    for query in hostile {
        let result = store.history("o", Some(query), None, 10).await;
        assert!(result.is_ok(), "{:.40}: {result:?}", query);
    }
    for nothing in ["\"", "…", "\0", "😀", "%", "_"] {
        assert!(found(store, nothing).await.is_empty(), "{nothing}");
    }
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
}

async fn keys_are_kept_and_revoked(database: &Database) {
    let store = &*database.store;
    let new = |hash: u8, expires_at| NewKey {
        id: Uuid::now_v7(),
        name: format!("key {hash}"),
        hash: [hash; 32],
        scopes: vec![Scope::Recognize, Scope::Admin],
        rate: Some(u32::MAX),
        expires_at,
    };
    let (first, second) = (new(1, None), new(2, Some(1000)));
    let (first_id, second_id) = (first.id, second.id);
    store.add_key(first).await.unwrap();
    store.add_key(second).await.unwrap();
    assert!(store.add_key(new(1, None)).await.is_err());
    let key = store.key(&[1; 32]).await.unwrap().unwrap();
    assert_eq!((key.key.id, key.key.rate), (first_id, Some(u32::MAX)));
    assert_eq!(key.key.scopes, [Scope::Recognize, Scope::Admin]);
    assert_eq!((key.key.hash, key.revoked_at), ([1; 32], None));
    assert!(store.key(&[9; 32]).await.unwrap().is_none());
    assert!(store.revoke_key(first_id).await.unwrap());
    assert!(!store.revoke_key(first_id).await.unwrap());
    assert!(
        !store.revoke_key(second_id).await.unwrap(),
        "it had expired"
    );
    let keys = store.keys().await.unwrap();
    assert_eq!([keys[0].key.id, keys[1].key.id], [first_id, second_id]);
    assert!(keys[0].revoked_at.unwrap() >= keys[0].created_at);
    assert_eq!(keys[1].key.expires_at, Some(1000));
}

async fn tables_of_a_newer_version_are_refused(database: &Database) {
    let sql =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (9999, 'from the future', TRUE, '', 0)";
    database.run(&[sql]).await;
    let Err(error) = store::open(&database.address).await else {
        panic!("a newer database was opened");
    };
    assert!(matches!(error, StoreError::Newer(9999, _)), "{error}");
    assert!(error.to_string().contains("newer version"), "{error}");
}

async fn a_new_database_can_be_opened_by_several_at_once(database: &Database) {
    let file = database.address.strip_suffix("maoocr.db");
    // With a file, the moment in which two could get into each other's way is short.
    let rounds = if file.is_some() { 20 } else { 2 };
    for round in 0..rounds {
        let address = match file {
            Some(folder) => format!("{folder}{round}.db"),
            None => lock(&server()).database().unwrap(),
        };
        let opened = join_all((0..4).map(|_| {
            let address = address.clone();
            tokio::spawn(async move { store::open(&address).await.map(drop) })
        }));
        for result in opened.await {
            result.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn an_address_must_name_a_database() {
    for address in [
        "mysql://root:hunter2@host/db",
        "hunter2",
        "",
        "sqlite:",
        "sqlite::memory:",
        "sqlite://a.db?mode=hunter2",
        "postgres://u:hunter2@host:port/db",
        "sqlite:/proc/hunter2/x.db",
    ] {
        let Err(error) = store::open(address).await else {
            panic!("{address} was opened");
        };
        let text = format!("{error} {error:?}");
        assert!(
            address.starts_with("sqlite:/proc") || !text.contains("hunter2"),
            "{text}"
        );
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let database = Database::sqlite().await;
    job(&*database.store, "o", 1).await;
    let file = std::path::PathBuf::from(database.address.strip_prefix("sqlite:").unwrap());
    let folder = file.parent().unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder), 0o700);
    let files: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    assert!(files.len() > 1, "the log stands beside the file");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locale_changes_nothing() {
    for arguments in [
        &[
            "--template=template0",
            "--locale-provider=icu",
            "--icu-locale=tr-TR",
        ][..],
        &["--template=template0", "--locale=C", "--encoding=SQL_ASCII"],
    ] {
        let database = Database::postgres_with(arguments).await;
        words_are_found_as_people_write_them(&database).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_was_away_is_found_again() {
    let mut server = Postgres::start().unwrap();
    let address = server.database().unwrap();
    let store = store::open(&address).await.unwrap();
    let id = job(&*store, "o", 2).await.id;
    let worker = Uuid::now_v7();
    let claims = claim(&*store, worker, 1).await;

    server.stop();
    let start = Instant::now();
    let tries = join_all((0..20).map(|_| store.job("o", id))).await;
    let errors: Vec<String> = tries
        .into_iter()
        .map(|t| t.unwrap_err().to_string())
        .collect();
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    assert!(store.ping().await.is_err());
    assert!(
        store
            .finish(worker, claims[0].item, done(&claims[0]))
            .await
            .is_err()
    );
    for error in errors {
        assert!(!error.contains(server.password()), "{error}");
    }

    server.restart().unwrap();
    let start = Instant::now();
    while store.ping().await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(10));
    }
    assert!(
        store
            .finish(worker, claims[0].item, done(&claims[0]))
            .await
            .unwrap()
    );
    let rest = claim(&*store, worker, 1).await;
    assert!(
        store
            .finish(worker, rest[0].item, done(&rest[0]))
            .await
            .unwrap()
    );
    let job: Job = store.job("o", id).await.unwrap().unwrap();
    assert_eq!((job.state, job.done), (State::Done, 2));
    let names: Vec<Value> = store
        .items(id, 0, 9)
        .await
        .unwrap()
        .into_iter()
        .map(|i| i.result.unwrap())
        .collect();
    assert_eq!(
        names,
        [json!([{"text": "0.png"}]), json!([{"text": "1.png"}])]
    );
}

/// A replica that starts while another one migrates waits for it, however long that takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_migration_is_waited_for() {
    let server = server();
    let address = lock(&server).database().unwrap();
    // What an operator sets for everyone else.
    let set = "ALTER DATABASE CURRENT_NAME SET statement_timeout = '500ms'";
    let name = address.rsplit('/').next().unwrap();
    let ask = |statement: &str| lock(&server).query(&address, statement).unwrap();
    ask(&set.replace("CURRENT_NAME", name));
    let hold = {
        let (server, address) = (server.clone(), address.clone());
        std::thread::spawn(move || {
            let hold = "SET statement_timeout = 0; SELECT pg_advisory_lock(7236281109563294); SELECT pg_sleep(2)";
            lock(&server).query(&address, hold).unwrap();
        })
    };
    tokio::time::sleep(Duration::from_millis(500)).await;
    let began = Instant::now();
    store::open(&address).await.unwrap();
    assert!(
        began.elapsed() > Duration::from_millis(500),
        "{:?}",
        began.elapsed()
    );
    hold.join().unwrap();
}

/// What a connection is told for good would reach whoever a pooler gives it to next.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_set_for_a_session() {
    let server = server();
    let address = lock(&server).database().unwrap();
    let name = address.rsplit('/').next().unwrap().to_string();
    let ask = |statement: &str| lock(&server).query(&address, statement).unwrap();
    ask(&format!("ALTER DATABASE {name} SET log_statement = 'all'"));
    let store = store::open_with(&address, 2).await.unwrap();
    job(&*store, "o", 2).await;
    claim(&*store, Uuid::now_v7(), 2).await;
    store.history("o", Some("word"), None, 9).await.unwrap();
    let settings = ask(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'maoocr'",
    );
    assert!(settings.parse::<u32>().unwrap() <= 2, "{settings}");
    let log = lock(&server).log().unwrap();
    let set: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("SET ") && !line.contains("UPDATE") && !line.contains("ALTER"))
        .filter(|line| line.contains("_timeout") && !line.contains("SET LOCAL"))
        .collect();
    assert!(set.is_empty(), "{set:?}");
    assert!(
        log.contains("SET LOCAL statement_timeout"),
        "nothing was logged"
    );
    assert!(!log.contains("pg_advisory_lock("), "a session's lock");
}

async fn a_webhook_is_due_when_its_job_is_over(database: &Database) {
    let (store, worker) = (&*database.store, Uuid::now_v7());
    let due = async |max| store.due_webhooks(max, LEASE).await.unwrap();
    let waiting = Duration::ZERO;
    let jobs = [job(store, "o", 1).await, job(store, "o", 1).await];
    for job in &jobs {
        store
            .add_webhook(job.id, "https://hooks.example")
            .await
            .unwrap();
    }
    assert_eq!(due(9).await, []);
    for claim in claim(store, worker, 2).await {
        let outcome = Outcome::Failed(json!({"code": "none"}));
        assert!(store.finish(worker, claim.item, outcome).await.unwrap());
    }
    // Each is given out once, also to two that ask at the same time.
    let other = database.again().await;
    let (one, two) = tokio::join!(due(1), other.due_webhooks(9, LEASE));
    let mut given = [one, two.unwrap()].concat();
    given.sort_by_key(|due| due.job);
    assert_eq!(
        given.iter().map(|d| d.job).collect::<Vec<_>>(),
        jobs.clone().map(|j| j.id)
    );
    assert_ne!(given[0].event, given[1].event);
    assert_eq!(
        (&*given[0].url, given[0].attempts),
        ("https://hooks.example", 1)
    );
    assert_eq!(due(9).await, []);
    // One is tried again and is the same event; the other was told.
    let [first, second] = [&given[0], &given[1]];
    store
        .settle_webhook(first.job, first.event, Some(waiting))
        .await
        .unwrap();
    store
        .settle_webhook(second.job, second.event, None)
        .await
        .unwrap();
    let again = due(9).await;
    assert_eq!(
        (again.len(), again[0].event, again[0].attempts),
        (1, first.event, 2)
    );
    // What goes on isn't over, whatever becomes of the last try; its next end is another event.
    store.retry_job("o", first.job).await.unwrap().unwrap();
    store
        .settle_webhook(first.job, first.event, Some(waiting))
        .await
        .unwrap();
    assert_eq!(due(9).await, []);
    store.cancel_job("o", first.job).await.unwrap().unwrap();
    let last = due(9).await;
    assert_eq!(
        (last.len(), last[0].job, last[0].attempts),
        (1, first.job, 1)
    );
    assert_ne!(last[0].event, first.event);
    store
        .settle_webhook(first.job, first.event, None)
        .await
        .unwrap();
    store
        .settle_webhook(first.job, last[0].event, Some(waiting))
        .await
        .unwrap();
    assert_eq!(due(9).await.len(), 1);
    store.delete_job("o", first.job).await.unwrap().unwrap();
    assert_eq!(due(9).await, []);
}

/// A pooler that gives each transaction another session loses prepared statements, unless it keeps them itself. That is
/// said at the start and not at some later query.
#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_loses_statements_is_named() {
    let server = server();
    let address = lock(&server).database().unwrap();
    store::open(&address).await.unwrap();
    let pooler = PgBouncer::start(&address, 1).unwrap();
    let opened = store::open(pooler.address()).await;
    if PgBouncer::keeps_statements().unwrap() {
        assert!(opened.is_ok());
    } else {
        let error = opened.err().expect("it must be refused").to_string();
        assert!(error.contains("max_prepared_statements"), "{error}");
    }
}
