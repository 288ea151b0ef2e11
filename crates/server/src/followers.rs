//! Those who follow jobs. However many listen, the database is asked about all their jobs with one query: at regular
//! intervals, because any replica may finish a picture, and at once when this one has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::app::App;
use crate::store::Job;

/// How often the followed jobs are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// The same when this server knows of a change.
const SOON: Duration = Duration::from_millis(50);

/// Followed jobs, each with its last known state; none once it is deleted.
#[derive(Default)]
pub struct Followers {
    jobs: Mutex<HashMap<Uuid, watch::Sender<Option<Job>>>>,
    wake: Notify,
}

/// One who follows a job.
pub struct Followed {
    changes: watch::Receiver<Option<Job>>,
    over: bool,
}

impl Followed {
    /// The job once it has changed; none after its end.
    pub async fn next(&mut self) -> Option<Job> {
        if self.over {
            return None;
        }
        self.changes.changed().await.ok()?;
        let job = self.changes.borrow_and_update().clone()?;
        self.over = job.is_over();
        Some(job)
    }
}

impl Followers {
    /// Follows a job that is in this state.
    pub fn follow(&self, job: &Job) -> Followed {
        let mut jobs = self.lock();
        let sender = jobs
            .entry(job.id)
            .or_insert_with(|| watch::Sender::new(Some(job.clone())));
        tell(sender, Some(job));
        let changes = sender.subscribe();
        drop(jobs);
        self.look();
        Followed {
            changes,
            over: job.is_over(),
        }
    }

    /// Something may have changed.
    pub fn look(&self) {
        self.wake.notify_one();
    }

    /// The followed jobs; those that nobody follows any more are dropped.
    fn ids(&self) -> Vec<Uuid> {
        let mut jobs = self.lock();
        jobs.retain(|_, sender| sender.receiver_count() > 0);
        jobs.keys().copied().collect()
    }

    /// Tells the followers of `ids` what was found of them.
    fn found(&self, ids: &[Uuid], found: &[Job]) {
        let found: HashMap<Uuid, &Job> = found.iter().map(|job| (job.id, job)).collect();
        let jobs = self.lock();
        for id in ids {
            if let Some(sender) = jobs.get(id) {
                tell(sender, found.get(id).copied());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, watch::Sender<Option<Job>>>> {
        self.jobs.lock().unwrap_or_else(|e| e.into_inner())
    }
}

fn tell(sender: &watch::Sender<Option<Job>>, job: Option<&Job>) {
    let seen = |job: &Job| (job.state, job.total, job.done, job.failed);
    sender.send_if_modified(|known| {
        let news = known.as_ref().map(seen) != job.map(seen);
        if news {
            *known = job.cloned();
        }
        news
    });
}

/// Looks at the followed jobs until the server shuts down.
pub async fn tend(app: Arc<App>) {
    let followers = &app.followers;
    while !app.stopping.is_cancelled() {
        let ids = followers.ids();
        let wait = if ids.is_empty() {
            // Nobody listens: the next who does says so.
            Duration::MAX
        } else {
            match app.store.jobs_by_id(&ids).await {
                Ok(found) => followers.found(&ids, &found),
                // The database may be back at the next look.
                Err(error) => tracing::warn!(%error, "could not look at jobs that are followed"),
            }
            LOOK
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = followers.wake.notified() => tokio::time::sleep(SOON).await,
            () = app.stopping.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::State;

    fn job(done: u32, state: State) -> Job {
        Job {
            id: Uuid::nil(),
            owner: String::new(),
            state,
            requirements: json!({}),
            total: 3,
            done,
            failed: 0,
            created_at: 0,
            started_at: None,
            finished_at: None,
        }
    }

    #[tokio::test]
    async fn all_hear_of_a_change_and_of_the_end() {
        let followers = Followers::default();
        let mut first = followers.follow(&job(0, State::Running));
        let mut second = followers.follow(&job(1, State::Running));
        assert_eq!(first.next().await.unwrap().done, 1);
        let ids = followers.ids();
        assert_eq!(ids.len(), 1);
        // The same again is no news.
        followers.found(&ids, &[job(1, State::Running)]);
        followers.found(&ids, &[job(3, State::Done)]);
        for followed in [&mut first, &mut second] {
            assert_eq!(followed.next().await.unwrap().done, 3);
            assert!(followed.next().await.is_none());
        }
        drop((first, second));
        assert!(followers.ids().is_empty());
    }

    #[tokio::test]
    async fn a_deleted_job_ends_what_follows_it() {
        let followers = Followers::default();
        let mut followed = followers.follow(&job(0, State::Running));
        followers.found(&[Uuid::nil()], &[]);
        assert!(followed.next().await.is_none());
    }
}
