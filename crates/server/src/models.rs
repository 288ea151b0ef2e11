//! The models on this machine: loaded when a plan first needs them, unloaded when memory runs short, replaced while in
//! use.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use maoocr_engine::pipeline::Engine;
use maoocr_engine::plan::{DeviceClass, Plan, Requirements};
use maoocr_models::Store as Files;
use maoocr_models::manifest::{ModelEntry, Task, Tier};
use maoocr_runtime::{Device, RuntimeError, Session};
use serde::Serialize;
use utoipa::ToSchema;

use crate::batching::Batching;
use crate::problem::Problem;

/// How long it is believed which files are installed.
const SEEN: Duration = Duration::from_secs(5);

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
#[error("can't load the model {name}: {reason}")]
pub struct LoadError {
    name: String,
    reason: String,
}

impl From<LoadError> for Problem {
    fn from(error: LoadError) -> Self {
        Self::internal("model_unusable", error)
    }
}

/// The models and how they are used.
pub struct Models {
    engine: Engine,
    files: Files,
    device: Device,
    /// Bytes of networks that may stay loaded, besides those in use.
    budget: u64,
    loaded: Mutex<HashMap<String, Use>>,
    /// Held while a network is loaded, so that two callers don't load the same one.
    loading: Mutex<()>,
    /// What was installed, and when that was looked up.
    seen: Mutex<Option<(Instant, Arc<HashSet<String>>)>>,
}

struct Use {
    bytes: u64,
    executor: String,
    fallback: Option<String>,
    last: Instant,
    count: u64,
    /// Pages being read with it.
    holders: usize,
}

/// A model as `GET /api/models` shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ModelState {
    /// Its name.
    #[schema(example = "ppocrv6-small-rec")]
    pub name: String,
    /// `detection`, `recognition`, `line-orientation`, `page-orientation` or `layout`.
    #[schema(value_type = String)]
    pub task: Task,
    /// Its family, e.g. `PP-OCRv6`.
    pub family: String,
    /// `tiny`, `small` or `medium`; none if the task has only one model.
    #[schema(value_type = Option<String>)]
    pub tier: Option<Tier>,
    /// BCP 47 tags of the languages a recogniser reads.
    pub languages: Vec<String>,
    /// SPDX identifier of its licence.
    pub licence: String,
    /// Size of its file, bytes.
    pub bytes: u64,
    /// Whether its file is installed.
    pub installed: bool,
    /// Whether it is in memory.
    pub loaded: bool,
    /// What runs it, if it is loaded.
    pub executor: Option<String>,
    /// Why that isn't the first choice, if it isn't.
    pub fallback: Option<String>,
    /// Pages read with it since it was loaded.
    pub uses: u64,
    /// Seconds since it was last used.
    pub idle: Option<f64>,
}

impl Models {
    /// With nothing loaded yet; `budget` in bytes.
    pub fn new(files: Files, device: Device, budget: u64) -> Self {
        let class = if device.is_gpu() {
            DeviceClass::Gpu
        } else {
            DeviceClass::Cpu
        };
        Self {
            engine: Engine::new(class),
            files,
            device,
            budget,
            loaded: Mutex::default(),
            loading: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    /// The engine that holds them.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What they run on, in words.
    pub fn device(&self) -> String {
        self.device.describe()
    }

    /// Whether they run on a GPU.
    pub fn is_gpu(&self) -> bool {
        self.device.is_gpu()
    }

    /// Chooses among the installed models.
    ///
    /// # Errors
    /// No installed model meets the requirements.
    pub fn plan(&self, requirements: &Requirements) -> Result<Plan, Problem> {
        let names = self.installed();
        let installed: Vec<&ModelEntry> = self
            .files
            .manifest()
            .models
            .iter()
            .filter(|m| names.contains(&m.name))
            .collect();
        Ok(self.engine.plan(requirements, &installed)?)
    }

    /// Names of the models whose files are there. The folder may be on a network, and every request asks.
    fn installed(&self) -> Arc<HashSet<String>> {
        let mut seen = self.seen.lock().unwrap_or_else(|e| e.into_inner());
        match &*seen {
            Some((at, names)) if at.elapsed() < SEEN => names.clone(),
            _ => {
                let models = self.files.manifest().models.iter();
                let there = models.filter(|m| self.files.has(&m.name));
                let names: Arc<HashSet<String>> = Arc::new(there.map(|m| m.name.clone()).collect());
                *seen = Some((Instant::now(), names.clone()));
                names
            }
        }
    }

    /// Tells weights apart: the hashes of the plan's models.
    pub fn fingerprint(&self, plan: &Plan) -> String {
        let hashes: Vec<&str> = plan
            .models()
            .into_iter()
            .filter_map(|name| self.files.manifest().get(name))
            .map(|entry| entry.sha256.as_str())
            .collect();
        hashes.join("+")
    }

    /// Loads what the plan needs and keeps it loaded until the guard is dropped.
    ///
    /// # Errors
    /// A model can't be loaded.
    pub fn hold(&self, plan: &Plan) -> Result<Held<'_>, LoadError> {
        let mut held = Held {
            models: self,
            names: Vec::new(),
        };
        for name in plan.models() {
            if !self.take(name) {
                let _loading = self.loading.lock().unwrap_or_else(|e| e.into_inner());
                if !self.take(name) {
                    self.load(name)?;
                    self.take(name);
                }
            }
            held.names.push(name.to_string());
        }
        self.evict();
        Ok(held)
    }

    /// Reloads a model from its file, if it is loaded. Pages in progress finish with the old one.
    ///
    /// # Errors
    /// The file is unusable; the old model stays.
    pub fn reload(&self, name: &str) -> Result<bool, LoadError> {
        if !self.lock().contains_key(name) {
            return Ok(false);
        }
        let _loading = self.loading.lock().unwrap_or_else(|e| e.into_inner());
        self.load(name)?;
        Ok(true)
    }

    /// Whether the manifest has a network of this name.
    pub fn knows(&self, name: &str) -> bool {
        let entry = self.files.manifest().get(name);
        entry.is_some_and(|m| m.task != Task::Dictionary)
    }

    /// Names of the loaded models.
    pub fn loaded(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// Size of the loaded networks, bytes.
    pub fn loaded_bytes(&self) -> u64 {
        self.lock().values().map(|u| u.bytes).sum()
    }

    /// Every model of the manifest.
    pub fn states(&self) -> Vec<ModelState> {
        let loaded = self.lock();
        let models = self.files.manifest().models.iter();
        models
            .filter(|m| m.task != Task::Dictionary)
            .map(|m| {
                let usage = loaded.get(&m.name);
                ModelState {
                    name: m.name.clone(),
                    task: m.task,
                    family: m.family.clone(),
                    tier: m.tier,
                    languages: m.languages.clone(),
                    licence: m.licence.clone(),
                    bytes: m.bytes,
                    installed: self.files.has(&m.name),
                    loaded: usage.is_some(),
                    executor: usage.map(|u| u.executor.clone()),
                    fallback: usage.and_then(|u| u.fallback.clone()),
                    uses: usage.map_or(0, |u| u.count),
                    idle: usage.map(|u| u.last.elapsed().as_secs_f64()),
                }
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Use>> {
        self.loaded.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Counts one more holder; `false` if the model isn't loaded.
    fn take(&self, name: &str) -> bool {
        let mut loaded = self.lock();
        let Some(usage) = loaded.get_mut(name) else {
            return false;
        };
        usage.last = Instant::now();
        usage.count += 1;
        usage.holders += 1;
        true
    }

    fn load(&self, name: &str) -> Result<(), LoadError> {
        let failed = |reason: String| LoadError {
            name: name.into(),
            reason,
        };
        let entry = self.files.manifest().get(name);
        let entry = entry.ok_or_else(|| failed("the manifest has no such model".into()))?;
        let began = Instant::now();
        let read = |name: &str| self.files.read(name).map_err(|e| failed(e.to_string()));
        let onnx = read(name)?;
        let session = self
            .device
            .load(&onnx)
            .map_err(|e: RuntimeError| failed(e.to_string()))?;
        let dictionary = entry.dictionary.as_deref().map(read).transpose()?;
        let executor = session.executor();
        let fallback = session.fallback().map(String::from);
        let session: Arc<dyn Session> = if entry.task == Task::Recognition && session.batch() > 1 {
            Arc::new(Batching::new(session))
        } else {
            session
        };
        self.engine
            .install_files(entry.clone(), session, &onnx, dictionary.as_deref())
            .map_err(|e| failed(e.to_string()))?;
        tracing::info!(
            model = name,
            executor,
            seconds = began.elapsed().as_secs_f64(),
            "loaded"
        );
        if let Some(reason) = &fallback {
            tracing::warn!(
                model = name,
                executor,
                reason,
                "not running on the requested device"
            );
        }
        let mut loaded = self.lock();
        let holders = loaded.get(name).map_or(0, |u| u.holders);
        let usage = Use {
            bytes: entry.bytes,
            executor,
            fallback,
            last: Instant::now(),
            count: 0,
            holders,
        };
        loaded.insert(name.into(), usage);
        Ok(())
    }

    /// Unloads the least recently used models until the rest fits the budget. Models in use stay.
    fn evict(&self) {
        let mut loaded = self.lock();
        let mut total: u64 = loaded.values().map(|u| u.bytes).sum();
        while total > self.budget {
            let idle = loaded.iter().filter(|(_, u)| u.holders == 0);
            let Some(name) = idle.min_by_key(|(_, u)| u.last).map(|(n, _)| n.clone()) else {
                break;
            };
            if let Some(usage) = loaded.remove(&name) {
                total -= usage.bytes;
            }
            self.engine.remove(&name);
            tracing::info!(model = name, "unloaded: the models exceed their memory");
        }
    }
}

/// Keeps a plan's models loaded.
pub struct Held<'a> {
    models: &'a Models,
    names: Vec<String>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut loaded = self.models.lock();
        for name in &self.names {
            if let Some(usage) = loaded.get_mut(name) {
                usage.holders = usage.holders.saturating_sub(1);
            }
        }
    }
}
