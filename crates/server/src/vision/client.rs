//! Asks a vision model for a page, in the form of OpenAI's chat completions.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::StreamExt;
use reqwest::{Client, Response, StatusCode, Url, header};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::VisionConfig;

/// Largest answer, bytes.
const MAX_ANSWER: usize = 4 << 20;
/// Largest picture that is sent, bytes.
const MAX_PICTURE: usize = 16 << 20;
/// How often it is asked for one page at most.
const ATTEMPTS: u32 = 3;
/// The pause before the second attempt; it doubles.
const BACKOFF: Duration = Duration::from_millis(300);
/// The longest pause that the model's server may ask for.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Why the model has not read a page.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// It failed too often of late.
    #[error("it failed several times in a row and isn't asked for a while")]
    Open,
    /// It has no place before the deadline.
    #[error("it was busy with other pages for too long")]
    Busy,
    /// It was too slow.
    #[error("it didn't answer in time")]
    Slow,
    /// Its server can't be reached.
    #[error("its server can't be reached")]
    Unreachable,
    /// Its server wants another key.
    #[error("its server refused the key (status {0})")]
    Refused(u16),
    /// Its server answered with another error.
    #[error("its server answered with status {0}")]
    Status(u16),
    /// The answer is no chat completion.
    #[error("its answer is not a chat completion")]
    Invalid,
    /// It has more to say than it may.
    #[error("its answer is too long")]
    TooLong,
    /// It says nothing.
    #[error("its answer is empty")]
    Empty,
    /// It repeats itself, or says something else than the page.
    #[error("its answer is not what the page shows")]
    Unlike,
    /// The picture of the page is too large to be sent.
    #[error("the picture of the page is too large for it")]
    TooLarge,
}

impl Fault {
    /// Its name for the metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Busy => "busy",
            Self::Slow => "slow",
            Self::Unreachable => "unreachable",
            Self::Refused(_) => "refused",
            Self::Status(_) => "status",
            Self::Invalid => "invalid",
            Self::TooLong => "too_long",
            Self::Empty => "empty",
            Self::Unlike => "unlike",
            Self::TooLarge => "too_large",
        }
    }

    /// Whether it may be the page's fault, so that other pages are worth an attempt.
    pub fn is_of_page(&self) -> bool {
        match self {
            Self::Status(status) => matches!(status, 400 | 413 | 422),
            Self::TooLong | Self::Empty | Self::Unlike | Self::TooLarge => true,
            _ => false,
        }
    }

    fn may_pass(&self) -> bool {
        match self {
            Self::Status(status) => *status >= 500 || matches!(status, 408 | 429),
            Self::Unreachable => true,
            _ => false,
        }
    }
}

/// What a model said of a page.
#[derive(Debug)]
pub struct Said {
    /// Markdown, if it does as it is told.
    pub text: String,
    /// Tokens of the request and the answer, where its server counts them.
    pub tokens: [u64; 2],
}

/// Asks the model.
#[derive(Debug)]
pub struct Asker {
    client: Client,
    url: Url,
    pub(super) model: String,
    key: Option<String>,
    tokens: u32,
    prompt: String,
}

impl Asker {
    /// For this model at this address.
    ///
    /// # Errors
    /// The HTTP client can't be created.
    pub fn new(config: &VisionConfig, url: Url, model: String) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .user_agent(concat!("maoocr/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            client,
            url,
            model,
            key: config.secret().map(String::from),
            tokens: config.tokens,
            prompt: config.prompt.clone(),
        })
    }

    /// What an answer depends on besides the page, for the cache's key.
    pub fn fingerprint(&self) -> String {
        let Self {
            url,
            model,
            tokens,
            prompt,
            ..
        } = self;
        format!("{url} {model} {tokens} {prompt}")
    }

    /// Asks for a page, again where that may help, until `end`.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask(&self, jpeg: &[u8], end: Instant) -> Result<Said, Fault> {
        if jpeg.len() > MAX_PICTURE {
            return Err(Fault::TooLarge);
        }
        let url = format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(jpeg));
        let body = json!({
            "model": self.model,
            "messages": [{"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": url}},
                {"type": "text", "text": self.prompt},
            ]}],
            "max_tokens": self.tokens,
            "temperature": 0,
        });
        let body = bytes::Bytes::from(body.to_string());
        let mut pause = BACKOFF;
        let mut last = Fault::Slow;
        for attempt in 1..=ATTEMPTS {
            let once = tokio::time::timeout_at(end, self.once(body.clone()));
            let Ok(answer) = once.await else {
                // Of two reasons, the first says more.
                return Err(if attempt == 1 { Fault::Slow } else { last });
            };
            let (fault, wanted) = match answer {
                Ok(said) => return Ok(said),
                Err(error) => error,
            };
            if !fault.may_pass() || attempt == ATTEMPTS {
                return Err(fault);
            }
            last = fault;
            // Half of it by chance, so that replicas don't come back together.
            let wait = wanted
                .unwrap_or(pause)
                .min(MAX_PAUSE)
                .mul_f64(rand::random_range(0.75..1.25));
            if Instant::now() + wait >= end {
                return Err(last);
            }
            tokio::time::sleep(wait).await;
            pause *= 2;
        }
        Err(last)
    }

    /// One attempt. Besides the fault: when to try again, if its server says so.
    async fn once(&self, body: bytes::Bytes) -> Result<Said, (Fault, Option<Duration>)> {
        let mut request = self.client.post(self.url.clone()).body(body);
        request = request.header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let response = request.send().await.map_err(|error| {
            tracing::debug!(%error, "the vision model can't be reached");
            (Fault::Unreachable, None)
        })?;
        let status = response.status();
        let wanted = response.headers().get(header::RETRY_AFTER);
        let wanted = wanted.and_then(|v| v.to_str().ok()?.trim().parse().ok());
        match status {
            StatusCode::OK => said(response).await.map_err(|fault| (fault, None)),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err((Fault::Refused(status.as_u16()), None))
            }
            _ => Err((
                Fault::Status(status.as_u16()),
                wanted.map(Duration::from_secs),
            )),
        }
    }
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

#[derive(Default, Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

async fn said(response: Response) -> Result<Said, Fault> {
    let mut stream = response.bytes_stream();
    let mut body = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Fault::Unreachable)?;
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Fault::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    let completion: Completion = serde_json::from_slice(&body).map_err(|_| Fault::Invalid)?;
    let choice = completion
        .choices
        .into_iter()
        .next()
        .ok_or(Fault::Invalid)?;
    if choice.finish_reason.as_deref() == Some("length") {
        return Err(Fault::TooLong);
    }
    let text = choice.message.content.unwrap_or_default();
    if text.trim().is_empty() {
        return Err(Fault::Empty);
    }
    let usage = completion.usage.unwrap_or_default();
    Ok(Said {
        text,
        tokens: [usage.prompt_tokens, usage.completion_tokens],
    })
}
