//! Webhooks in SQLite.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{query, query_as, query_scalar};
use uuid::Uuid;

use super::StoreError;
use super::rows::{self, WebhookRow};
use super::sqlite::{Sqlite, now};
use super::webhooks::{DueWebhook, Webhooks};

#[async_trait]
impl Webhooks for Sqlite {
    async fn add_webhook(&self, job: Uuid, url: &str) -> Result<(), StoreError> {
        let url = rows::clean(url);
        let mut tx = self.transaction().await?;
        query!("INSERT INTO webhooks (job, url) VALUES (?1, ?2)", job, url)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    async fn due_webhooks(&self, max: u32, lease: Duration) -> Result<Vec<DueWebhook>, StoreError> {
        let now = now();
        let until = now.saturating_add(rows::millis(lease));
        // Asked for all the time, and nearly always in vain: the only writer isn't kept for that.
        let any = query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM webhooks WHERE due_at <= ?1) AS "any!: bool""#,
            now
        )
        .fetch_one(&self.read)
        .await?;
        if !any {
            return Ok(Vec::new());
        }
        let mut tx = self.transaction().await?;
        let due = query_as!(
            WebhookRow,
            r#"UPDATE webhooks SET due_at = ?2, attempts = attempts + 1
             WHERE job IN (SELECT job FROM webhooks WHERE due_at <= ?1 ORDER BY due_at LIMIT ?3)
             RETURNING job AS "job!: Uuid", event AS "event!: Uuid", url AS "url!", attempts AS "attempts!""#,
            now,
            until,
            max,
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        rows::all(due)
    }

    async fn settle_webhook(
        &self,
        job: Uuid,
        event: Uuid,
        wait: Option<Duration>,
    ) -> Result<(), StoreError> {
        let due = wait.map(|wait| now().saturating_add(rows::millis(wait)));
        let mut tx = self.transaction().await?;
        query!(
            "UPDATE webhooks SET due_at = ?3 WHERE job = ?1 AND event = ?2 AND due_at IS NOT NULL",
            job,
            event,
            due,
        )
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }
}
