//! Webhooks in PostgreSQL.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{query, query_as};
use uuid::Uuid;

use super::StoreError;
use super::postgres::Postgres;
use super::rows::{self, WebhookRow};
use super::webhooks::{DueWebhook, Webhooks};

#[async_trait]
impl Webhooks for Postgres {
    async fn add_webhook(&self, job: Uuid, url: &str) -> Result<(), StoreError> {
        query!(
            "INSERT INTO webhooks (job, url) VALUES ($1, $2)",
            job,
            rows::clean(url)
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    async fn due_webhooks(&self, max: u32, lease: Duration) -> Result<Vec<DueWebhook>, StoreError> {
        let due = query_as!(
            WebhookRow,
            r#"UPDATE webhooks SET due_at = maoocr_now() + $2, attempts = attempts + 1
             WHERE job IN (
                 SELECT job FROM webhooks WHERE due_at <= maoocr_now() ORDER BY due_at LIMIT $1
                 FOR UPDATE SKIP LOCKED
             )
             RETURNING job, event AS "event!", url, attempts"#,
            i64::from(max),
            rows::millis(lease),
        )
        .fetch_all(&self.0)
        .await?;
        rows::all(due)
    }

    async fn settle_webhook(
        &self,
        job: Uuid,
        event: Uuid,
        wait: Option<Duration>,
    ) -> Result<(), StoreError> {
        query!(
            "UPDATE webhooks SET due_at = maoocr_now() + $3
             WHERE job = $1 AND event = $2 AND due_at IS NOT NULL",
            job,
            event,
            wait.map(rows::millis),
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }
}
