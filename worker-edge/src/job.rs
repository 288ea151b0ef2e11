//! A batch between its upload and a server that takes it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::problem::Problem;

/// What the edge remembers of a batch.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Job {
    /// Its name, also at the server as its idempotency key.
    pub id: String,
    /// The caller's id.
    pub owner: String,
    /// The caller's rights, as a signature names them.
    pub rights: String,
    /// The caller's region.
    pub region: String,
    /// Of the body.
    pub content_type: String,
    /// Milliseconds since 1970.
    pub created_at: u64,
    /// How far it is.
    pub stage: Stage,
}

/// How far a batch is.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It is being uploaded.
    Receiving,
    /// It waits for a server.
    Queued,
    /// A server has it.
    Taken {
        /// The server's name.
        origin: String,
        /// What it is called there.
        job: String,
    },
    /// The caller doesn't want it any more.
    Cancelled,
    /// No server took it; the problem.
    Failed {
        /// As the server or the edge said it.
        problem: Value,
    },
}

impl Job {
    /// The same without its pictures.
    pub fn summary(&self) -> Value {
        let mut status = self.status();
        if let Some(fields) = status.as_object_mut() {
            fields.remove("results");
            fields.remove("next");
        }
        status
    }

    /// As the server shows a job that nothing was read of yet. How many pictures are in it only the server finds out.
    pub fn status(&self) -> Value {
        let state = match self.stage {
            Stage::Receiving => "receiving",
            Stage::Queued | Stage::Taken { .. } => "queued",
            Stage::Cancelled => "cancelled",
            Stage::Failed { .. } => "done",
        };
        let results = match &self.stage {
            Stage::Failed { problem } => {
                json!([{"index": 0, "name": "", "state": "failed", "document": null, "error": problem}])
            }
            _ => json!([]),
        };
        let failed = u32::from(matches!(self.stage, Stage::Failed { .. }));
        json!({
            "id": self.id, "state": state, "total": failed, "done": 0, "failed": failed,
            "created_at": self.created_at, "started_at": null, "finished_at": null,
            "results": results, "next": null,
        })
    }
}

/// Checks which of a job's pictures are asked for, as the server would.
pub fn check_query(query: &[(String, String)]) -> Result<(), Problem> {
    for (name, value) in query {
        let most = match name.as_str() {
            "first" => u32::MAX,
            "limit" => 100,
            _ => {
                let detail = format!("`{name}` is not known; known: first, limit");
                return Err(Problem::new(400, "invalid_query", detail));
            }
        };
        if !value.parse::<u32>().is_ok_and(|number| number <= most) {
            let detail = format!("{name} must be a whole number from 0 to {most}");
            return Err(Problem::new(422, "invalid_query", detail).field(name.as_str()));
        }
    }
    Ok(())
}

/// A UUID from a hash: the same for the same caller and idempotency key.
pub fn name(hash: &[u8; 32]) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    // Version 8, for what an application makes up (RFC 9562).
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// Whether this can be a job's name.
pub fn is_name(id: &str) -> bool {
    id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(stage: Stage) -> Job {
        Job {
            id: name(&[7; 32]),
            owner: "shop".into(),
            rights: "jobs".into(),
            region: "EU".into(),
            content_type: "multipart/form-data; boundary=B".into(),
            created_at: 5,
            stage,
        }
    }

    #[test]
    fn a_batch_looks_like_a_job() {
        assert_eq!(job(Stage::Queued).status()["state"], "queued");
        assert_eq!(job(Stage::Queued).status()["total"], 0);
        let failed = job(Stage::Failed {
            problem: json!({"code": "too_many_pictures"}),
        })
        .status();
        assert_eq!(failed["state"], "done");
        assert_eq!(failed["results"][0]["error"]["code"], "too_many_pictures");
        let stored = serde_json::to_string(&job(Stage::Taken {
            origin: "eu".into(),
            job: "x".into(),
        }))
        .unwrap();
        assert_eq!(serde_json::from_str::<Job>(&stored).unwrap().owner, "shop");
    }

    #[test]
    fn a_query_is_checked() {
        let check = |name: &str, value: &str| check_query(&[(name.into(), value.into())]).is_ok();
        assert!(check("first", "4000000000") && check("limit", "0") && check("limit", "100"));
        assert!(!check("first", "-1") && !check("limit", "101") && !check("last", "1"));
    }

    #[test]
    fn names_are_uuids() {
        assert_eq!(name(&[0xff; 32]), "ffffffff-ffff-8fff-bfff-ffffffffffff");
        assert!(is_name(&name(&[1; 32])));
        assert!(!is_name("../../etc/passwd") && !is_name(""));
    }
}
