//! Who is told when a job is over.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::StoreError;

/// A job that is over, and whom to tell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DueWebhook {
    /// The job.
    pub job: Uuid,
    /// Names what is told: the same for every try. A job that was retried and is over again is another event.
    pub event: Uuid,
    /// Whom to tell.
    pub url: String,
    /// How often that was tried, this time included.
    pub attempts: u32,
}

/// Webhooks in a database. A trigger makes one due when its job is over, whatever ended the job, and takes that back if
/// the job goes on.
#[async_trait]
pub trait Webhooks: Send + Sync {
    /// Notes whom to tell when a job is over; a job has one webhook at most.
    async fn add_webhook(&self, job: Uuid, url: &str) -> Result<(), StoreError>;
    /// Takes up to `max` that are due. They are due again after the lease, unless they are settled before.
    async fn due_webhooks(&self, max: u32, lease: Duration) -> Result<Vec<DueWebhook>, StoreError>;
    /// Makes one due again after `wait`, or never. Nothing happens if its job has had another event since.
    async fn settle_webhook(
        &self,
        job: Uuid,
        event: Uuid,
        wait: Option<Duration>,
    ) -> Result<(), StoreError>;
}
