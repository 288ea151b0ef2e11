//! A batch between its upload and a server that takes it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::problem::Problem;

/// How long a batch is offered to servers before it is given up, ms.
pub const OFFERED: u64 = 6 * 3_600_000;
/// How much longer a batch may wait whose message got lost, ms.
const GRACE: u64 = 600_000;
/// How long a batch is remembered, ms: as long as a server keeps its results, and as long as that may take.
const MEMORY: u64 = 14 * 86_400_000;

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
    /// Names its upload: one batch may be uploaded more than once.
    pub upload: String,
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

/// What happens to a batch.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// An upload begins.
    Open(Job),
    /// It broke off.
    Close {
        /// Its name.
        upload: String,
    },
    /// It is there.
    Queue(Job),
    /// A server took it.
    Take {
        /// The server's name.
        origin: String,
        /// What it is called there.
        job: String,
    },
    /// It can't be.
    Fail {
        /// Why.
        problem: Value,
    },
    /// Its caller doesn't want it any more.
    Cancel,
}

impl Job {
    /// What a batch is after a change. Whoever comes too late changes nothing, and sees what stands.
    pub fn changed(found: Option<Self>, change: Change) -> Option<Self> {
        let with = |job: Self, stage| Some(Self { stage, ..job });
        match (change, found) {
            // Of several uploads the first that is complete is the batch.
            (Change::Open(job), None) => with(job, Stage::Receiving),
            (Change::Open(job), Some(there)) if there.stage == Stage::Receiving => {
                with(job, Stage::Receiving)
            }
            (Change::Queue(job), None) => with(job, Stage::Queued),
            (Change::Queue(job), Some(there)) if there.stage == Stage::Receiving => {
                with(job, Stage::Queued)
            }
            (Change::Close { upload }, Some(there))
                if there.stage == Stage::Receiving && there.upload == upload =>
            {
                None
            }
            (Change::Take { origin, job }, Some(there)) if there.stage == Stage::Queued => {
                with(there, Stage::Taken { origin, job })
            }
            (Change::Fail { problem }, Some(there)) if there.stage == Stage::Queued => {
                with(there, Stage::Failed { problem })
            }
            (Change::Cancel, Some(there))
                if [Stage::Receiving, Stage::Queued].contains(&there.stage) =>
            {
                with(there, Stage::Cancelled)
            }
            (_, there) => there,
        }
    }

    /// When it is looked at again though nothing happens, ms since 1970.
    pub fn due(&self) -> u64 {
        self.created_at
            + match self.stage {
                Stage::Receiving | Stage::Queued => OFFERED + GRACE,
                _ => MEMORY,
            }
    }

    /// What it is then: no upload takes so long, and where no message of it is left nobody gives it to a server.
    pub fn overdue(self) -> Option<Self> {
        match self.stage {
            Stage::Queued => Some(Self {
                stage: Stage::Failed {
                    problem: not_taken().to_json(),
                },
                ..self
            }),
            _ => None,
        }
    }

    /// Who can read its failed pictures again, and what the job is called there; none: nothing of it has failed yet.
    ///
    /// # Errors
    /// Nothing of it is left to read.
    pub fn retry(&self) -> Result<Option<(String, String)>, Problem> {
        let detail = match &self.stage {
            Stage::Taken { origin, job } => return Ok(Some((origin.clone(), job.clone()))),
            Stage::Queued => return Ok(None),
            Stage::Receiving | Stage::Cancelled => {
                "a job that was cancelled or is still being uploaded can't be retried"
            }
            Stage::Failed { .. } => "no server has this job's pictures; send it again",
        };
        Err(Problem::new(409, "job_not_started", detail))
    }

    /// Where its upload lies.
    pub fn place(&self) -> String {
        format!("{}/{}", self.id, self.upload)
    }

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

/// A text that comes in pieces, with another name in it.
#[derive(Debug)]
pub struct Renamed {
    from: Vec<u8>,
    to: Vec<u8>,
    /// The end of what came, where it may be the beginning of the name.
    held: Vec<u8>,
}

impl Renamed {
    /// From one name to another.
    pub fn new(from: &str, to: &str) -> Self {
        Self {
            from: from.into(),
            to: to.into(),
            held: Vec::new(),
        }
    }

    /// What can be said after another piece.
    pub fn piece(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(piece);
        let mut said = Vec::with_capacity(text.len());
        let mut rest = text.as_slice();
        while !rest.is_empty() {
            if rest.starts_with(&self.from) {
                said.extend_from_slice(&self.to);
                rest = &rest[self.from.len()..];
            } else if self.from.starts_with(rest) {
                self.held = rest.to_vec();
                break;
            } else {
                said.push(rest[0]);
                rest = &rest[1..];
            }
        }
        said
    }

    /// What is left at the end.
    pub fn end(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

/// The problem of a batch that no server took.
pub fn not_taken() -> Problem {
    let detail = "no server accepted this job in time; send it again";
    Problem::new(503, "no_origin", detail)
}

/// Checks which of a job's pictures are asked for, as the server does: first what they are, then whether they are in
/// range.
pub fn check_query(query: &[(String, String)]) -> Result<(), Problem> {
    const PARAMETERS: [(&str, u32); 2] = [("first", i32::MAX as u32), ("limit", 100)];
    let wrong = |detail: String| Err(Problem::new(400, "invalid_query", detail));
    let mut numbers = [None; 2];
    for (name, value) in query {
        let Some(index) = PARAMETERS.iter().position(|(known, _)| known == name) else {
            return wrong(format!("`{name}` is not known; known: first, limit"));
        };
        let Ok(number) = value.parse::<u32>() else {
            return wrong(format!("{name} must be a whole number from 0"));
        };
        if numbers[index].replace(number).is_some() {
            return wrong(format!("the query contains `{name}` twice"));
        }
    }
    for ((name, most), number) in PARAMETERS.into_iter().zip(numbers) {
        if number.is_some_and(|number| number > most) {
            let detail = format!("{name} must be between 0 and {most}");
            return Err(Problem::new(422, "invalid_query", detail).field(name));
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
            upload: "first".into(),
            created_at: 5,
            stage,
        }
    }

    fn taken() -> Stage {
        Stage::Taken {
            origin: "eu".into(),
            job: "x".into(),
        }
    }

    fn take() -> Change {
        Change::Take {
            origin: "eu".into(),
            job: "x".into(),
        }
    }

    #[test]
    fn who_comes_too_late_changes_nothing() {
        use Stage::{Cancelled, Queued, Receiving};
        let problem = json!({"code": "x"});
        let fail = || Change::Fail {
            problem: problem.clone(),
        };
        let failed = || Stage::Failed {
            problem: problem.clone(),
        };
        let queue = || Change::Queue(job(Receiving));
        let open = || Change::Open(job(Receiving));
        for (found, change, expected) in [
            (None, open(), Some(Receiving)),
            (None, queue(), Some(Queued)),
            (None, take(), None),
            (None, Change::Cancel, None),
            (Some(Receiving), queue(), Some(Queued)),
            (Some(Receiving), Change::Cancel, Some(Cancelled)),
            (Some(Queued), open(), Some(Queued)),
            (Some(Queued), take(), Some(taken())),
            (Some(Queued), fail(), Some(failed())),
            (Some(Queued), Change::Cancel, Some(Cancelled)),
            (Some(taken()), queue(), Some(taken())),
            (Some(taken()), fail(), Some(taken())),
            (Some(taken()), Change::Cancel, Some(taken())),
            (Some(Cancelled), queue(), Some(Cancelled)),
            (Some(Cancelled), take(), Some(Cancelled)),
            (Some(Cancelled), fail(), Some(Cancelled)),
            (Some(failed()), take(), Some(failed())),
            (Some(failed()), Change::Cancel, Some(failed())),
        ] {
            let name = format!("{found:?} {change:?}");
            let stage = Job::changed(found.map(job), change).map(|job| job.stage);
            assert_eq!(stage, expected, "{name}");
        }
    }

    #[test]
    fn an_upload_breaks_off_for_itself_alone() {
        let second = |stage| Job {
            upload: "second".into(),
            ..job(stage)
        };
        let close = |upload: &str| Change::Close {
            upload: upload.into(),
        };
        let both = Job::changed(
            Some(job(Stage::Receiving)),
            Change::Open(second(Stage::Receiving)),
        );
        assert_eq!(both.as_ref().unwrap().upload, "second");
        assert_eq!(Job::changed(both.clone(), close("first")), both);
        assert_eq!(Job::changed(both.clone(), close("second")), None);
        // The first that is complete is the batch, whichever began first.
        let queued = Job::changed(both, Change::Queue(job(Stage::Receiving)));
        assert_eq!(queued.as_ref().unwrap().place(), job(Stage::Queued).place());
        let late = Change::Queue(second(Stage::Receiving));
        assert_eq!(Job::changed(queued.clone(), late), queued);
        assert_eq!(Job::changed(queued.clone(), close("first")), queued);
    }

    #[test]
    fn a_batch_without_a_message_does_not_wait_for_ever() {
        let queued = job(Stage::Queued);
        assert!(queued.due() > queued.created_at + OFFERED);
        let failed = queued.overdue().unwrap();
        assert_eq!(failed.status()["results"][0]["error"]["code"], "no_origin");
        assert_eq!(failed.due(), failed.created_at + MEMORY);
        assert_eq!(failed.overdue(), None);
        assert_eq!(job(Stage::Receiving).overdue(), None);
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
        let stored = serde_json::to_string(&job(taken())).unwrap();
        assert_eq!(serde_json::from_str::<Job>(&stored).unwrap().owner, "shop");
    }

    #[test]
    fn only_a_server_reads_a_batch_again() {
        use Stage::{Cancelled, Failed, Queued, Receiving};
        let place = ("eu".to_string(), "x".to_string());
        assert_eq!(job(taken()).retry().unwrap(), Some(place));
        assert_eq!(job(Queued).retry().unwrap(), None);
        let failed = Failed {
            problem: json!({"code": "x"}),
        };
        for stage in [Receiving, Cancelled, failed] {
            let problem = job(stage).retry().unwrap_err();
            assert_eq!((problem.status, problem.code), (409, "job_not_started"));
        }
    }

    #[test]
    fn a_query_is_checked() {
        let check = |name: &str, value: &str| {
            let checked = check_query(&[(name.into(), value.into())]);
            checked.err().map(|problem| problem.status)
        };
        for (name, value) in [("first", "2147483647"), ("limit", "0"), ("limit", "100")] {
            assert_eq!(check(name, value), None, "{name}={value}");
        }
        // As the server's own parser of queries has it.
        for (name, value, status) in [
            ("first", "2147483648", 422),
            ("first", "4294967296", 400),
            ("first", "-1", 400),
            ("limit", "101", 422),
            ("limit", "", 400),
            ("last", "1", 400),
        ] {
            assert_eq!(check(name, value), Some(status), "{name}={value}");
        }
        let twice = [("first", "1"), ("first", "2")].map(|(n, v)| (n.into(), v.into()));
        assert_eq!(check_query(&twice).unwrap_err().status, 400);
    }

    #[test]
    fn a_name_is_replaced_wherever_the_text_is_cut() {
        let text = b"a-a-b a-ba-a-a-b, a-a";
        for length in 1..text.len() {
            let mut renamed = Renamed::new("a-a-b", "ours");
            let mut said = Vec::new();
            for piece in text.chunks(length) {
                said.extend(renamed.piece(piece));
            }
            said.extend(renamed.end());
            let said = String::from_utf8(said).unwrap();
            assert_eq!(said, "ours a-ba-ours, a-a", "pieces of {length}");
        }
        // An event that is over is not held back.
        let mut renamed = Renamed::new("0198", "ours");
        assert_eq!(renamed.piece(b"id: 0198\n\n"), b"id: ours\n\n");
    }

    #[test]
    fn names_are_uuids() {
        assert_eq!(name(&[0xff; 32]), "ffffffff-ffff-8fff-bfff-ffffffffffff");
        assert!(is_name(&name(&[1; 32])));
        assert!(!is_name("../../etc/passwd") && !is_name(""));
    }
}
