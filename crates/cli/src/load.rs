//! From command-line options to an engine with its models loaded.

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
    /// What runs the models: auto, cpu, cpu:int8 (faster, not quite as exact), gpu, gpu:N, flex, tract.
    #[arg(long, default_value = "auto", value_parser = device)]
    pub device: Device,
    /// Take models of this weight, instead of what the requirements suggest.
    #[arg(long, value_enum)]
    pub tier: Option<TierName>,
    /// Language: auto, an English name or a BCP 47 tag.
    #[arg(long, default_value = "auto", value_parser = language)]
    pub language: Language,
    /// How much an error costs.
    #[arg(long, value_enum, default_value = "medium")]
    pub accuracy: LevelName,
    /// How much waiting costs.
    #[arg(long, value_enum, default_value = "medium")]
    pub speed: LevelName,
    /// What the pictures show.
    #[arg(long, value_enum, default_value = "auto")]
    pub document_type: DocumentTypeName,
    /// Threads that share the work on one picture (default: the processor's cores; 1 for batch and bench).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Read with the tiny models and in small pieces, within about 100 MB, as small devices and the edge do.
    #[arg(long)]
    pub low_memory: bool,
    /// Folder with the models (default: MAOOCR_MODELS, else the user's cache).
    #[arg(long, value_name = "DIR")]
    pub models: Option<PathBuf>,
    /// Never use the network: models must be there already.
    #[arg(long)]
    pub offline: bool,
}

/// A tier as an option's value.
#[derive(Clone, Copy, ValueEnum)]
pub enum TierName {
    /// For phones and quick looks.
    Tiny,
    /// The usual.
    Small,
    /// For servers.
    Medium,
}

/// A level as an option's value.
#[derive(Clone, Copy, ValueEnum)]
pub enum LevelName {
    /// It hardly matters.
    Low,
    /// The usual.
    Medium,
    /// It matters most.
    High,
}

/// A document type as an option's value.
#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum DocumentTypeName {
    /// Not said.
    Auto,
    /// Upright lines.
    SimpleText,
    /// Columns, tables, forms.
    ComplexLayout,
}

fn device(name: &str) -> Result<Device, String> {
    Device::parse(name).map_err(|e| e.to_string())
}

/// What a picture may cost.
#[derive(Args, Clone)]
pub struct LimitArguments {
    /// Largest file that is read, MiB.
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    max_file: u16,
    /// Largest page that is read, millions of pixels.
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u16).range(1..))]
    max_megapixels: u16,
}

impl LimitArguments {
    /// The engine's limits; the memory for decoding grows with the pages.
    pub fn limits(&self) -> Limits {
        let usual = Limits::default();
        let max_pixels = u64::from(self.max_megapixels) * 1_000_000;
        Limits {
            max_bytes: usize::from(self.max_file) << 20,
            max_pixels,
            max_memory: usual
                .max_memory
                .max(max_pixels * usual.max_memory / usual.max_pixels),
            ..usual
        }
    }
}

fn language(name: &str) -> Result<Language, String> {
    Language::parse(name).ok_or_else(|| format!("allowed: {}", Language::names().join(", ")))
}

/// The processor's cores, as far as this process may use them.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}

/// Models or a device are missing: a matter of set-up, not of a picture.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotReady(pub String);

impl NotReady {
    fn because(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// Makes a session of a network's bytes.
pub type Loader<'a> = dyn Fn(&ModelEntry, &[u8]) -> Result<Arc<dyn Session>> + 'a;

/// An engine and the plan it follows.
pub struct Ready {
    /// With the plan's models loaded.
    pub engine: Engine,
    /// What runs.
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

    /// Sets the number of threads a picture gets; `default` for none given, and the cores for none at all.
    pub fn use_threads(&self, default: Option<u16>) {
        let count = self.threads.or(default).map(usize::from);
        maoocr_runtime::cpu::set_threads(count.unwrap_or_else(cores));
    }

    /// What to plan for.
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

    /// Brings a network onto the device.
    pub fn load(&self, entry: &ModelEntry, onnx: &[u8]) -> Result<Arc<dyn Session>> {
        self.device.load(onnx).map_err(|error| match error {
            RuntimeError::Device { .. } => NotReady::because(error).into(),
            error => anyhow::Error::from(error).context(format!("loading {}", entry.name)),
        })
    }

    /// The same with an engine of the caller's and its own way to load a network.
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
            self.only(tier, &mut installed)?;
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
            let dictionary = entry
                .dictionary
                .as_deref()
                .map(|d| {
                    store.read(d).and_then(|bytes| {
                        String::from_utf8(bytes)
                            .map_err(|_| maoocr_models::Error::from_reason(d, "it isn't UTF-8"))
                    })
                })
                .transpose()
                .map_err(NotReady::because)?
                // A recogniser without one has its alphabet in itself.
                .or_else(|| maoocr_runtime::onnx::metadata(&onnx, "character"));
            engine.install(entry.clone(), session, dictionary.as_deref())?;
        }
        Ok(Ready { engine, plan })
    }

    /// Leaves of PP-OCRv6's models those of a tier. Recognisers of single scripts come in one tier only and stay.
    fn only(&self, tier: Tier, installed: &mut Vec<&ModelEntry>) -> Result<()> {
        const FAMILY: &str = "PP-OCRv6";
        if tier == Tier::Tiny && self.language.needs_small() {
            bail!(Usage(format!(
                "the tiny models lack characters of {}: leave --tier out, or take small",
                self.language.tag()
            )));
        }
        installed.retain(|m| m.family != FAMILY || m.tier.is_none() || m.tier == Some(tier));
        let missing = |task, short| {
            let there = |m: &&ModelEntry| m.task == task && m.family == FAMILY;
            let name = format!("ppocrv6-{tier}-{short}");
            (!installed.iter().any(there)).then_some(name)
        };
        let missing: Vec<String> = [
            missing(Task::Detection, "det"),
            missing(Task::Recognition, "rec"),
        ]
        .into_iter()
        .flatten()
        .collect();
        if missing.is_empty() {
            return Ok(());
        }
        bail!(NotReady(format!(
            "models of the tier {tier} are not installed; get them with `maoocr models pull {}`",
            missing.join(" ")
        )))
    }
}
