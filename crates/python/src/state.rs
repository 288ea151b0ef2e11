//! What a process needs to read: models in memory, plans, threads. A forked child begins with nothing of it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use maoocr_engine::pipeline::Engine;
use maoocr_engine::plan::{DeviceClass, Plan, Requirements};
use maoocr_models::manifest::ModelEntry;
use maoocr_models::{Manifest, Store};
use maoocr_runtime::Device;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::fault::Fault;
use crate::pull::{self, Fetch, Place};

/// How an engine was set up. It does not change.
pub struct Settings {
    /// Runs the models.
    pub device: Device,
    /// Plan for a device with little memory.
    pub low_memory: bool,
    /// Whether requirements choose the models.
    pub dynamic: bool,
    /// Where the models are.
    pub models: Place,
    /// Threads that share a page.
    pub threads: usize,
    /// Whether and how missing models are fetched.
    pub fetch: Fetch,
}

/// One process's share of an engine.
pub struct State {
    /// Who owns it.
    pub process: u32,
    /// The models in memory.
    pub engine: Engine,
    /// Held while models are loaded: by requirements, the plans whose models are there.
    plans: Mutex<HashMap<String, Plan>>,
    /// Idle threads. A call takes a pool for itself, so that calls neither wait for nor share one another's threads.
    pools: Mutex<Vec<ThreadPool>>,
}

/// Pools that are kept for later calls.
const IDLE: usize = 64;

impl State {
    /// Without models and threads.
    pub fn new(settings: &Settings) -> Self {
        let class = match (settings.low_memory, settings.device.is_gpu()) {
            (true, _) => DeviceClass::Constrained,
            (false, true) => DeviceClass::Gpu,
            (false, false) => DeviceClass::Cpu,
        };
        Self {
            process: std::process::id(),
            engine: Engine::new(class),
            plans: Mutex::default(),
            pools: Mutex::default(),
        }
    }

    /// A pool of `threads` threads for one call.
    pub fn borrow_pool(&self, threads: usize) -> Result<ThreadPool, Fault> {
        let mut pools = lock(&self.pools);
        let idle = pools
            .iter()
            .position(|p| p.current_num_threads() == threads);
        if let Some(index) = idle {
            return Ok(pools.swap_remove(index));
        }
        drop(pools);
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        pool.map_err(|e| Fault::panic(&format!("no threads: {e}")))
    }

    /// Takes a pool back.
    pub fn return_pool(&self, pool: ThreadPool) {
        let mut pools = lock(&self.pools);
        if pools.len() < IDLE {
            pools.push(pool);
        }
    }

    /// The plan for some requirements, its models loaded; they are fetched first where nothing usable is installed.
    pub fn ready(&self, settings: &Settings, requirements: &Requirements) -> Result<Plan, Fault> {
        let usual = Requirements {
            language: requirements.language.clone(),
            ..Requirements::default()
        };
        let requirements = if settings.dynamic {
            requirements
        } else {
            &usual
        };
        let key = serde_json::to_string(requirements).unwrap_or_default();
        let mut plans = lock(&self.plans);
        if let Some(plan) = plans.get(&key) {
            return Ok(plan.clone());
        }
        let store = settings.models.open()?;
        let mut plan = match self.plan(&store, requirements) {
            Err(_) if !settings.fetch.offline => {
                let names = pull::wanted(store.manifest(), &requirements.language);
                pull::run(&store, &names, &settings.fetch)?;
                self.plan(&store, requirements)?
            }
            planned => planned?,
        };
        let names: Vec<String> = plan.models().into_iter().map(String::from).collect();
        for name in &names {
            if let Some(reason) = self.load(&store, settings, name)? {
                plan.reasons.push(reason);
            }
        }
        plans.insert(key, plan.clone());
        Ok(plan)
    }

    fn plan(&self, store: &Store, requirements: &Requirements) -> Result<Plan, Fault> {
        let manifest: &Manifest = store.manifest();
        let installed: Vec<&ModelEntry> = manifest
            .models
            .iter()
            .filter(|m| store.has(&m.name) && m.dictionary.iter().all(|d| store.has(d)))
            .collect();
        Ok(self.engine.plan(requirements, &installed)?)
    }

    /// Loads a model; why it doesn't run where it should, if so.
    fn load(
        &self,
        store: &Store,
        settings: &Settings,
        name: &str,
    ) -> Result<Option<String>, Fault> {
        if self.engine.has(name) {
            return Ok(None);
        }
        let unknown = || maoocr_models::Error::UnknownModel(name.into());
        let entry = store.manifest().get(name).ok_or_else(unknown)?;
        let file = store.read(name)?;
        let session = settings.device.load(&file)?;
        let reason = session
            .fallback()
            .map(|why| format!("{name} runs on {}: {why}", session.executor()));
        let dictionary = entry.dictionary.as_deref().map(|d| store.read(d));
        let dictionary = dictionary.transpose()?;
        let engine = &self.engine;
        engine.install_files(entry.clone(), session, &file, dictionary.as_deref())?;
        Ok(reason)
    }
}

/// What a thread that panicked held is as good as before: nothing is changed half way.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
