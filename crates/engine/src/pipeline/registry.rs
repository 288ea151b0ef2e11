//! The models in memory, shared by all threads.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use maoocr_models::manifest::ModelEntry;
use maoocr_runtime::{RuntimeError, Session};

use super::timer::{self, Clock};
use crate::imaging::ImagingError;
use crate::plan::{self, DeviceClass, Plan, PlanError, Requirements};
use crate::recognise::{Dictionary, DictionaryError};

/// Why a picture could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The picture itself.
    #[error(transparent)]
    Imaging(#[from] ImagingError),
    /// No models for what was asked.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A model failed.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A recogniser's dictionary can't be used.
    #[error("the dictionary of {model}: {source}")]
    Dictionary {
        /// The recogniser.
        model: String,
        /// What is wrong with it.
        source: DictionaryError,
    },
    /// The plan names a model that isn't loaded, or that lacks its constants.
    #[error("the model {model} can't be used: {reason}")]
    Model {
        /// Its name.
        model: String,
        /// What is missing.
        reason: &'static str,
    },
    /// The caller's [`Observer`] said stop.
    #[error("cancelled")]
    Cancelled,
}

impl EngineError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Imaging(e) => e.code(),
            Self::Plan(_) => "model_not_installed",
            Self::Runtime(e) => e.code(),
            Self::Dictionary { .. } | Self::Model { .. } => "model_unusable",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A model in memory.
pub struct Loaded {
    /// What the manifest says of it.
    pub entry: ModelEntry,
    /// The network.
    pub session: Arc<dyn Session>,
    /// A recogniser's characters.
    pub dictionary: Option<Dictionary>,
}

/// Loaded models, shared by all threads. Models can be added and replaced while pages are being read: a page
/// keeps the ones it began with.
pub struct Engine {
    models: RwLock<HashMap<String, Arc<Loaded>>>,
    pub(super) device: DeviceClass,
    pub(super) clock: Clock,
}

impl Engine {
    /// An engine without models, timing its stages by wall clock.
    pub fn new(device: DeviceClass) -> Self {
        Self {
            models: RwLock::default(),
            device,
            clock: timer::wall_clock,
        }
    }

    /// Times stages by another clock, such as the thread's processor time.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Adds a model, or replaces the one of the same name. A recogniser needs its dictionary's text.
    pub fn install(
        &self,
        entry: ModelEntry,
        session: Arc<dyn Session>,
        dictionary: Option<&str>,
    ) -> Result<(), EngineError> {
        let dictionary = dictionary
            .map(Dictionary::parse)
            .transpose()
            .map_err(|source| EngineError::Dictionary {
                model: entry.name.clone(),
                source,
            })?;
        let loaded = Arc::new(Loaded {
            entry,
            session,
            dictionary,
        });
        let mut models = self.models.write().unwrap_or_else(|e| e.into_inner());
        models.insert(loaded.entry.name.clone(), loaded);
        Ok(())
    }

    /// Drops a model. A page that began with it keeps it to its end.
    pub fn remove(&self, name: &str) {
        let mut models = self.models.write().unwrap_or_else(|e| e.into_inner());
        models.remove(name);
    }

    /// Whether a model of that name is loaded.
    pub fn has(&self, name: &str) -> bool {
        self.models
            .read()
            .unwrap_or_else(|e| e.into_inner())
            .contains_key(name)
    }

    /// Chooses among `installed` models for this engine's device.
    pub fn plan(
        &self,
        requirements: &Requirements,
        installed: &[&ModelEntry],
    ) -> Result<Plan, PlanError> {
        plan::plan(requirements, installed, self.device)
    }

    pub(super) fn get(&self, name: &str) -> Result<Arc<Loaded>, EngineError> {
        let models = self.models.read().unwrap_or_else(|e| e.into_inner());
        models.get(name).cloned().ok_or_else(|| EngineError::Model {
            model: name.into(),
            reason: "it isn't loaded",
        })
    }
}
