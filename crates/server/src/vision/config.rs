//! Settings of the document-vision model.

use std::time::Duration;

use clap::Args;
use reqwest::Url;

use crate::config::{ConfigError, seconds};

/// What the model is told with each page.
const PROMPT: &str = "Convert this page to Markdown in its reading order. Keep every word in its own language. Write \
                      tables as HTML and formulas as LaTeX. Answer with the Markdown only.";

/// A document-vision model that another server runs.
#[derive(Args, Clone, Debug)]
pub struct VisionConfig {
    /// Base address of an OpenAI-compatible server (vLLM, SGLang, llama.cpp) whose vision model reads what asks for high
    /// accuracy and complex layout, such as http://vllm:8000/v1 [default: none].
    #[arg(long = "vlm-url", env = "MAOOCR_VLM_URL", value_name = "URL")]
    pub url: Option<String>,
    /// Name of the model on that server.
    #[arg(long = "vlm-model", env = "MAOOCR_VLM_MODEL", value_name = "NAME")]
    pub model: Option<String>,
    /// Its API key, if it wants one.
    #[arg(
        long = "vlm-key",
        env = "MAOOCR_VLM_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    pub key: Option<String>,
    /// Seconds it may take for a page, with all attempts. A request's deadline counts, too.
    #[arg(long = "vlm-timeout", env = "MAOOCR_VLM_TIMEOUT", value_name = "S", default_value = "60", value_parser = seconds)]
    pub timeout: Duration,
    /// Pages that it is asked for at the same time; more wait.
    #[arg(long = "vlm-concurrency", env = "MAOOCR_VLM_CONCURRENCY", value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
    /// Tokens that it may answer with for a page.
    #[arg(long = "vlm-tokens", env = "MAOOCR_VLM_TOKENS", value_name = "N", default_value_t = 8192, value_parser = clap::value_parser!(u32).range(16..=131_072))]
    pub tokens: u32,
    /// Longer side of the pictures that it is sent, px.
    #[arg(long = "vlm-side", env = "MAOOCR_VLM_SIDE", value_name = "PX", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(256..=8192))]
    pub side: u32,
    /// What it is told with each page. It must answer with Markdown.
    #[arg(long = "vlm-prompt", env = "MAOOCR_VLM_PROMPT", value_name = "TEXT", default_value = PROMPT, hide_default_value = true)]
    pub prompt: String,
    /// Seconds for which it isn't asked after five failures in a row.
    #[arg(long = "vlm-pause", env = "MAOOCR_VLM_PAUSE", value_name = "S", default_value = "30", value_parser = seconds)]
    pub pause: Duration,
}

impl VisionConfig {
    /// Where chats are completed, and by which model; none if no server is set.
    ///
    /// # Errors
    /// Names the option at fault.
    pub fn target(&self) -> Result<Option<(Url, String)>, ConfigError> {
        let error = |text: &str| Err(ConfigError(text.into()));
        let (url, model) = match (given(&self.url), given(&self.model)) {
            (None, None) => return Ok(None),
            (Some(url), Some(model)) => (url, model),
            (Some(_), None) => {
                return error("--vlm-url needs --vlm-model: the name of the model there");
            }
            (None, Some(_)) => return error("--vlm-model has no effect alone: set --vlm-url, too"),
        };
        let url = format!("{}/chat/completions", url.trim_end_matches('/'));
        match Url::parse(&url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                Ok(Some((url, model.into())))
            }
            _ => error("--vlm-url is not an address such as http://vllm:8000/v1"),
        }
    }
}

/// An empty variable, as Compose passes what isn't set, is none.
fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().map(str::trim).filter(|v| !v.is_empty())
}

impl VisionConfig {
    /// The key, if there is one.
    pub fn secret(&self) -> Option<&str> {
        given(&self.key)
    }
}
