//! Turns command-line options into an engine with its models loaded.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use maoocr_engine::imaging::Limits;
use maoocr_engine::pipeline::Engine;
use maoocr_engine::plan::{DeviceClass, DocumentType, Language, Level, Plan, Requirements};
use maoocr_models::manifest::{ModelEntry, Task, Tier};
use maoocr_models::{Manifest, Store};
use maoocr_runtime::{Device, RuntimeError, Session};

use crate::Usage;

/// Options that every command with an engine shares.
#[derive(Args, Clone)]
pub struct EngineArguments {
    /// Device that runs the models: auto, cpu, cpu:int8 (faster, slightly less exact), gpu, gpu:N, flex, tract.
    #[arg(long, default_value = "auto", value_parser = device)]
    pub device: Device,
    /// Use models of this tier, whatever the other options suggest.
    #[arg(long, value_enum)]
    pub tier: Option<TierName>,
    /// Language of the text: auto, an English name or a BCP 47 tag.
    #[arg(long, default_value = "auto", value_parser = language)]
    pub language: Language,
    /// How important accuracy is.
    #[arg(long, value_enum, default_value = "medium")]
    pub accuracy: LevelName,
    /// How important speed is.
    #[arg(long, value_enum, default_value = "medium")]
    pub speed: LevelName,
    /// Kind of document.
    #[arg(long, value_enum, default_value = "auto")]
    pub document_type: DocumentTypeName,
    /// Threads per picture [default: one per core; 1 for batch and bench].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Stay within about 100 MB: use the tiny models and detect in small tiles, as small devices and the edge do.
    #[arg(long)]
    pub low_memory: bool,
    /// Folder of the models [default: MAOOCR_MODELS, else the user's cache folder].
    #[arg(long, value_name = "DIR")]
    pub models: Option<PathBuf>,
    /// Never use the network; models must already be installed.
    #[arg(long)]
    pub offline: bool,
}

/// A tier as an option's value.
#[derive(Clone, Copy, ValueEnum)]
pub enum TierName {
    /// For phones and quick reads.
    Tiny,
    /// The default.
    Small,
    /// For servers.
    Medium,
}

/// A level as an option's value.
#[derive(Clone, Copy, ValueEnum)]
pub enum LevelName {
    /// Not important.
    Low,
    /// The default.
    Medium,
    /// Very important.
    High,
}

/// A document type as an option's value.
#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum DocumentTypeName {
    /// Unknown.
    Auto,
    /// Lines of text, upright.
    SimpleText,
    /// Columns, tables, forms.
    ComplexLayout,
}

fn device(name: &str) -> Result<Device, String> {
    Device::parse(name).map_err(|e| e.to_string())
}

/// Limits on a picture.
#[derive(Args, Clone)]
pub struct LimitArguments {
    /// Largest file to read, MiB.
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    max_file: u16,
    /// Largest page to read, millions of pixels.
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u16).range(1..))]
    max_megapixels: u16,
}

impl LimitArguments {
    /// The engine's limits; the memory for decoding grows with the page limit.
    pub fn limits(&self) -> Limits {
        Limits::for_pages(
            usize::from(self.max_file) << 20,
            u64::from(self.max_megapixels) * 1_000_000,
        )
    }
}

fn language(name: &str) -> Result<Language, String> {
    Language::parse(name).ok_or_else(|| format!("allowed: {}", Language::names().join(", ")))
}

/// The number of cores this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}

/// Models or a device are missing: a problem of the set-up, not of a picture.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotReady(pub String);

impl NotReady {
    fn because(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// Creates a session from a network's bytes.
pub type Loader<'a> = dyn Fn(&ModelEntry, &[u8]) -> Result<Arc<dyn Session>> + 'a;

/// An engine and the plan it follows.
pub struct Ready {
    /// The engine, with the plan's models loaded.
    pub engine: Engine,
    /// The plan to follow.
    pub plan: Plan,
}

impl EngineArguments {
    /// The requirements these options state.
    pub fn requirements(&self, batch: bool) -> Requirements {
        let level = |name| match name {
            LevelName::Low => Level::Low,
            LevelName::Medium => Level::Medium,
            LevelName::High => Level::High,
        };
        Requirements {
            document_type: match self.document_type {
                DocumentTypeName::Auto => DocumentType::Auto,
                DocumentTypeName::SimpleText => DocumentType::SimpleText,
                DocumentTypeName::ComplexLayout => DocumentType::ComplexLayout,
            },
            language: self.language.clone(),
            accuracy_requirement: level(self.accuracy),
            speed_requirement: level(self.speed),
            real_time: false,
            batch_processing: batch,
        }
    }

    /// Sets the number of threads per picture: as given, else `default`, else one per core.
    pub fn use_threads(&self, default: Option<u16>) {
        let count = self.threads.or(default).map(usize::from);
        maoocr_runtime::cpu::set_threads(count.unwrap_or_else(cores));
    }

    /// The class of device to plan for.
    pub fn class(&self, device: Device) -> DeviceClass {
        match (self.low_memory, device.is_gpu()) {
            (true, _) => DeviceClass::Constrained,
            (false, true) => DeviceClass::Gpu,
            (false, false) => DeviceClass::Cpu,
        }
    }

    /// The folder of models.
    pub fn store(&self) -> Result<Store> {
        crate::models::store(self.models.clone())
    }

    /// Chooses and loads models.
    pub fn ready(&self, batch: bool) -> Result<Ready> {
        let engine = Engine::new(self.class(self.device));
        self.ready_with(engine, batch, &|entry, onnx| self.load(entry, onnx))
    }

    /// Loads a network onto the device.
    pub fn load(&self, entry: &ModelEntry, onnx: &[u8]) -> Result<Arc<dyn Session>> {
        self.device.load(onnx).map_err(|error| match error {
            RuntimeError::Device { .. } => NotReady::because(error).into(),
            error => anyhow::Error::from(error).context(format!("loading {}", entry.name)),
        })
    }

    /// Like [`ready`](Self::ready), with the caller's engine and its way of loading a network.
    pub fn ready_with(&self, engine: Engine, batch: bool, load: &Loader<'_>) -> Result<Ready> {
        let store = self.store()?;
        let manifest = Manifest::built_in();
        let tier = self.tier.map(|t| match t {
            TierName::Tiny => Tier::Tiny,
            TierName::Small => Tier::Small,
            TierName::Medium => Tier::Medium,
        });
        let mut installed: Vec<&ModelEntry> = manifest
            .models
            .iter()
            .filter(|m| store.has(&m.name))
            .collect();
        if let Some(tier) = tier {
            self.only(tier, &manifest, &mut installed)?;
        }
        let mut plan = engine
            .plan(&self.requirements(batch), &installed)
            .map_err(NotReady::because)?;
        let names: Vec<String> = plan.models().into_iter().map(String::from).collect();
        for name in &names {
            let entry = manifest
                .get(name)
                .expect("a plan names models of the manifest");
            let onnx = store.read(name).map_err(NotReady::because)?;
            let session = load(entry, &onnx)?;
            if let Some(reason) = session.fallback() {
                let reason = format!("{name} runs on {}: {reason}", session.executor());
                eprintln!("{reason}");
                plan.reasons.push(reason);
            }
            let dictionary = entry.dictionary.as_deref().map(|d| store.read(d));
            let dictionary = dictionary.transpose().map_err(NotReady::because)?;
            engine.install_files(entry.clone(), session, &onnx, dictionary.as_deref())?;
        }
        Ok(Ready { engine, plan })
    }

    /// Keeps only one tier of the general models. Recognisers of single scripts come in one tier only and stay.
    fn only(
        &self,
        tier: Tier,
        manifest: &Manifest,
        installed: &mut Vec<&ModelEntry>,
    ) -> Result<()> {
        if let Language::General(tag) = self.language {
            let reads = |m: &&ModelEntry| {
                m.general && m.task == Task::Recognition && m.languages.iter().any(|l| l == tag)
            };
            let mut readers = manifest.models.iter().filter(reads).peekable();
            if readers.peek().is_some() && readers.all(|m| m.tier > Some(tier)) {
                bail!(Usage(format!(
                    "the {tier} models lack characters of {tag}: omit --tier, or use small"
                )));
            }
        }
        installed.retain(|m| !m.general || m.tier == Some(tier));
        let missing = |task| {
            let is = |m: &&ModelEntry| m.general && m.task == task && m.tier == Some(tier);
            if installed.iter().any(is) {
                return None;
            }
            manifest.models.iter().find(is).map(|m| m.name.clone())
        };
        let missing: Vec<String> = [missing(Task::Detection), missing(Task::Recognition)]
            .into_iter()
            .flatten()
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        bail!(NotReady(format!(
            "the {tier} models are not installed; get them with `maoocr models pull {}`",
            missing.join(" ")
        )))
    }
}
