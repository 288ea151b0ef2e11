//! Whether this server reads right: it reads a picture of its own, whose text it knows, before it takes any work and
//! whenever work fails for reasons that aren't the picture's.
//!
//! A server with a damaged model, a broken driver or bad memory would otherwise fail one picture of a job after another,
//! faster than its sound neighbours read them, or read nonsense.

use std::sync::Arc;
use std::time::Duration;

use maoocr_engine::imaging;
use maoocr_engine::plan::Requirements;
use tokio::sync::{Notify, watch};

use crate::app::App;

/// The picture, and what it says.
const SPECIMEN: &[u8] = include_bytes!("../assets/specimen.png");
const TEXT: &str = "Read this line first: 4176 and then the second one";
/// How long an unfit server waits before it tries again, and a fit one between two doubts.
const PAUSE: Duration = Duration::from_secs(5);

/// What the last test showed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum State {
    /// There was none.
    Untested,
    /// It reads right.
    Fit,
    /// It does not, for this reason.
    Unfit(String),
}

/// Whether this server reads right.
#[derive(Debug)]
pub struct Fitness {
    state: watch::Sender<State>,
    doubts: Notify,
}

impl Default for Fitness {
    fn default() -> Self {
        Self {
            state: watch::Sender::new(State::Untested),
            doubts: Notify::new(),
        }
    }
}

impl Fitness {
    /// What the last test showed.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Waits until the server reads right.
    pub async fn fit(&self) {
        // The sender lives as long as `self`.
        let _ = self.state.subscribe().wait_for(|s| *s == State::Fit).await;
    }

    /// Something failed that should not have: test again soon.
    pub fn doubt(&self) {
        self.doubts.notify_one();
    }
}

/// Tests the server at once, and then whenever there is doubt.
pub async fn tend(app: Arc<App>) {
    loop {
        let testing = app.clone();
        let tested = tokio::task::spawn_blocking(move || test(&testing)).await;
        let state = match tested.map_err(|error| error.to_string()).flatten() {
            Ok(()) => State::Fit,
            Err(reason) => State::Unfit(reason),
        };
        let before = app.fitness.state.send_replace(state.clone());
        match &state {
            State::Unfit(reason) if before != state => {
                tracing::error!(%reason, "not fit: this server fails its own test and takes no work until it passes");
            }
            State::Fit if before != state => tracing::info!(device = app.device, "ready"),
            _ => {}
        }
        tokio::time::sleep(PAUSE).await;
        if state == State::Fit {
            app.fitness.doubts.notified().await;
        }
    }
}

/// Reads the specimen with the models of the default plan. This also compiles kernels and lays out memory before anyone
/// waits.
fn test(app: &App) -> Result<(), String> {
    let plan = app
        .models
        .plan(&Requirements::default())
        .map_err(|p| p.detail)?;
    if matches!(app.fitness.state(), State::Unfit(_)) {
        // Their files may have been mended.
        for name in plan.models() {
            app.models.reload(name).map_err(|e| e.to_string())?;
        }
    }
    let _models = app.models.hold(&plan).map_err(|e| e.to_string())?;
    let pages = imaging::decode(SPECIMEN, &app.limits).map_err(|e| e.to_string())?;
    let page = pages
        .into_iter()
        .next()
        .ok_or("the test picture is empty")?;
    let engine = app.models.engine();
    let answer = pollster::block_on(engine.read_page(page.into(), &plan, &mut ()));
    judge(&answer.map_err(|e| e.to_string())?.text)
}

/// Compares what was read, spaces aside. Small models may misread a letter; what is broken misreads most of them.
fn judge(text: &str) -> Result<(), String> {
    let letters = |text: &str| -> Vec<char> {
        let letters = text.chars().filter(|c| !c.is_whitespace());
        letters.take(4 * TEXT.len()).collect()
    };
    let (read, said) = (letters(text), letters(TEXT));
    if distance(&read, &said) <= said.len() / 5 {
        return Ok(());
    }
    let read: String = text.chars().take(80).collect();
    Err(format!(
        "its own test picture, which says `{TEXT}`, was read as `{read}`: the models are damaged or the device computes \
         wrong (`maoocr models verify` checks the files)"
    ))
}

/// Edits from one text to the other (Levenshtein).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut before = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = before + usize::from(x != y);
            before = row[j + 1];
            row[j + 1] = replaced.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_no_text() {
        assert!(judge("Read this line first: 4176\nand then the second one").is_ok());
        assert!(judge("").unwrap_err().contains("test picture"));
        assert!(judge("Read this llne first: 4178\nand then the second one").is_ok());
        assert!(judge("and then the second one").is_err());
    }

    #[tokio::test]
    async fn whoever_waits_is_told() {
        let fitness = Arc::new(Fitness::default());
        let waiting = tokio::spawn({
            let fitness = fitness.clone();
            async move { fitness.fit().await }
        });
        fitness.state.send_replace(State::Unfit(String::new()));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        fitness.state.send_replace(State::Fit);
        waiting.await.unwrap();
    }
}
