//! From command-line options to an engine with its models loaded.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::{Args, ValueEnum};
use maoocr_engine::pipeline::Engine;
use maoocr_engine::plan::{DeviceClass, DocumentType, Language, Level, Plan, Requirements};
use maoocr_models::manifest::{ModelEntry, Tier};
use maoocr_models::{Manifest, Store};
use maoocr_runtime::{Device, RuntimeError, Session};

/// Options that every command with an engine shares.
#[derive(Args, Clone)]
pub struct EngineArguments {
    /// What runs the models: auto, cpu, cpu:int8 (faster, not quite as exact), gpu, gpu:N, flex, tract.
    #[arg(long, default_value = "auto")]
    pub device: String,
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
        let device = Device::parse(&self.device).map_err(|e| NotReady(e.to_string()))?;
        self.ready_with(Engine::new(self.class(device)), batch, &|entry, onnx| {
            device.load(onnx).map_err(|error| match error {
                RuntimeError::Device { .. } => NotReady(error.to_string()).into(),
                error => anyhow::Error::from(error).context(format!("loading {}", entry.name)),
            })
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
        let installed: Vec<&ModelEntry> = manifest
            .models
            .iter()
            .filter(|m| store.has(&m.name))
            .filter(|m| tier.is_none() || m.tier.is_none() || m.tier == tier)
            .collect();
        let mut plan = engine
            .plan(&self.requirements(batch), &installed)
            .map_err(|e| NotReady(e.to_string()))?;
        let names: Vec<String> = plan.models().into_iter().map(String::from).collect();
        for name in &names {
            let entry = manifest
                .get(name)
                .expect("a plan names models of the manifest");
            let onnx = store.read(name)?;
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
                .transpose()?
                // A recogniser without one has its alphabet in itself.
                .or_else(|| maoocr_runtime::onnx::metadata(&onnx, "character"));
            engine.install(entry.clone(), session, dictionary.as_deref())?;
        }
        Ok(Ready { engine, plan })
    }
}
