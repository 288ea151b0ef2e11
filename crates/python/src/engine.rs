//! The engine as Python sees it.

use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};

use maoocr_engine::geometry::{Point, Quad};
use maoocr_models::Manifest;
use maoocr_pdf::searchable::Info;
use maoocr_runtime::Device;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::json;

use crate::attend::{Cancel, attend, guarded, on_thread};
use crate::document::Document;
use crate::fault::Fault;
use crate::pull::{self, Fetch, Place};
use crate::read::Job;
use crate::request::Request;
use crate::searchable;
use crate::source::{Input, Shape};
use crate::state::{Settings, State, lock};
use crate::stream::Stream;

/// Models and the threads that run them. It may be used from many threads at a time, and after a fork, where it begins
/// anew.
#[pyclass(frozen, module = "maoocr._maoocr")]
pub struct Engine {
    settings: Arc<Settings>,
    /// Locked only by threads that hold the interpreter's lock, and never across waiting: whoever forks holds that lock,
    /// so that a child finds this one free.
    state: Mutex<Arc<State>>,
}

/// Corners of a quad, px.
type Corners = [[f32; 2]; 4];

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (*, device, models, packaged, threads, low_memory, dynamic, offline, progress))]
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn new(
        device: &str,
        models: Option<PathBuf>,
        packaged: Option<PathBuf>,
        threads: Option<usize>,
        low_memory: bool,
        dynamic: bool,
        offline: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let device = Device::parse(device).map_err(Fault::from)?;
        let cores = || std::thread::available_parallelism().map_or(1, |n| n.get());
        let threads = threads.unwrap_or_else(cores);
        if !(1..=1024).contains(&threads) {
            return Err(Fault::argument("threads: 1 to 1024").into());
        }
        let settings = Settings {
            device,
            low_memory,
            dynamic,
            models: Place::of(models, packaged)?,
            threads,
            fetch: Fetch {
                offline,
                progress: progress.map(Arc::new),
            },
        };
        let state = Mutex::new(Arc::new(State::new(&settings)));
        Ok(Self {
            settings: Arc::new(settings),
            state,
        })
    }

    /// Folder of the models.
    #[getter]
    fn folder(&self) -> PathBuf {
        self.settings.models.folder.clone()
    }

    /// Loads the models for a request, which are fetched first where none are installed; returns the plan as JSON.
    fn prepare(&self, py: Python<'_>, request: &str, cancel: &Cancel) -> PyResult<String> {
        let requirements = Request::parse(request)?.requirements()?;
        let (state, settings) = (self.state(), self.settings.clone());
        let work = move || {
            let pool = state.borrow_pool(settings.threads)?;
            let plan = pool.install(|| guarded(|| state.ready(&settings, &requirements)));
            state.return_pool(pool);
            Ok(json!(plan?).to_string())
        };
        attend(py, cancel, on_thread, work)
    }

    /// Reads a file's bytes, or pixels of a `shape`.
    #[pyo3(signature = (data, shape, request, cancel))]
    fn read(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyBytes>,
        shape: Option<Shape>,
        request: &str,
        cancel: &Cancel,
    ) -> PyResult<Document> {
        let job = self.job(data, shape, request, cancel)?;
        self.attend(py, job, |job| job.run(None))
    }

    /// Starts to read, and yields what happens.
    #[pyo3(signature = (data, shape, request, cancel))]
    fn stream(
        &self,
        data: &Bound<'_, PyBytes>,
        shape: Option<Shape>,
        request: &str,
        cancel: &Cancel,
    ) -> PyResult<Stream> {
        /// Events that may wait for who takes them; after that, reading waits.
        const AHEAD: usize = 256;
        let unplanned = self.job(data, shape, request, cancel)?;
        let (sender, receiver) = sync_channel(AHEAD);
        on_thread(Box::new(move || {
            let result = unplanned.run(|job| job.run(Some(&sender)).map(drop));
            if let Err(fault) = result {
                let _ = sender.send(Err(fault));
            }
        }));
        Ok(Stream::new(receiver, cancel.clone()))
    }

    /// Finds the lines of the first page; returns JSON.
    #[pyo3(signature = (data, shape, request, cancel))]
    fn detect(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyBytes>,
        shape: Option<Shape>,
        request: &str,
        cancel: &Cancel,
    ) -> PyResult<String> {
        let job = self.job(data, shape, request, cancel)?;
        self.attend(py, job, |job| Ok(job.detect()?.to_string()))
    }

    /// Reads the lines in some quads of the first page, or all of it as one line; returns JSON.
    #[pyo3(signature = (data, shape, quads, request, cancel))]
    fn lines(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyBytes>,
        shape: Option<Shape>,
        quads: Option<Vec<Corners>>,
        request: &str,
        cancel: &Cancel,
    ) -> PyResult<String> {
        let job = self.job(data, shape, request, cancel)?;
        let quad = |corners: Corners| Quad(corners.map(|[x, y]| Point::new(x, y)));
        let quads = quads.map(|all| all.into_iter().map(quad).collect::<Vec<_>>());
        self.attend(py, job, move |job| Ok(job.lines(quads)?.to_string()))
    }

    /// The pixels of a page, as the engine sees it: width and height in px, and RGB.
    #[pyo3(signature = (data, shape, request, cancel))]
    fn pixels<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyBytes>,
        shape: Option<Shape>,
        request: &str,
        cancel: &Cancel,
    ) -> PyResult<(u32, u32, Bound<'py, PyBytes>)> {
        let request = Request::parse(request)?;
        let input = Input::of(data, shape, &request)?;
        let work = move || {
            let mut page = None;
            input.each_page(&request, |next| {
                page = Some(next.map_err(|e| e.error)?.image);
                Ok(std::ops::ControlFlow::Break(()))
            })?;
            page.ok_or_else(|| Fault::argument("there is no such page"))
        };
        let image = attend(py, cancel, on_thread, work)?;
        Ok((image.width, image.height, PyBytes::new(py, &image.rgb)))
    }

    /// A searchable PDF of what was read from `data`.
    #[pyo3(signature = (document, data, shape, request, cancel, *, title, language, date, archival))]
    #[expect(clippy::too_many_arguments, reason = "Python names them")]
    fn pdf<'py>(
        &self,
        py: Python<'py>,
        document: Py<Document>,
        data: &Bound<'py, PyBytes>,
        shape: Option<Shape>,
        request: &str,
        cancel: &Cancel,
        title: String,
        language: Option<String>,
        date: String,
        archival: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let request = Request::parse(request)?;
        let input = Input::of(data, shape, &request)?;
        let info = Info {
            title,
            language,
            date,
            archival,
        };
        let work = move || searchable::pdf(document.get(), &input, &request, info);
        let made = attend(py, cancel, on_thread, work)?;
        Ok(PyBytes::new(py, &made))
    }

    /// What runs the models, for people.
    #[getter]
    fn device(&self) -> String {
        self.settings.device.describe()
    }
}

/// A job whose models may have to be loaded first.
struct Unplanned {
    settings: Arc<Settings>,
    state: Arc<State>,
    input: Input,
    request: Request,
    cancel: Cancel,
}

impl Unplanned {
    /// Loads the models and does the work on threads of its own.
    fn run<T: Send>(self, work: impl FnOnce(&Job) -> Result<T, Fault> + Send) -> Result<T, Fault> {
        if self.cancel.cancelled() {
            return Err(Fault::cancelled());
        }
        let state = self.state;
        let threads = self.request.threads.unwrap_or(self.settings.threads);
        let pool = state.borrow_pool(threads)?;
        // Models are loaded there, too: whatever spreads over threads must never come to a pool that all calls share, as
        // a forked child has none of its threads.
        let result = pool.install(|| {
            guarded(|| {
                let plan = state.ready(&self.settings, &self.request.requirements()?)?;
                work(&Job {
                    state: state.clone(),
                    plan,
                    input: self.input,
                    request: self.request,
                    cancel: self.cancel,
                })
            })
        });
        state.return_pool(pool);
        result
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if state.process != std::process::id() {
            std::mem::forget(state.clone());
        }
    }
}

impl Engine {
    /// This process's state: a forked child has none of its parent's threads, and maybe locks that nobody will open.
    fn state(&self) -> Arc<State> {
        let mut state = lock(&self.state);
        if state.process != std::process::id() {
            let fresh = Arc::new(State::new(&self.settings));
            let old = std::mem::replace(&mut *state, fresh);
            // Its pools would wait for their threads.
            std::mem::forget(old);
        }
        state.clone()
    }

    fn job(
        &self,
        data: &Bound<'_, PyBytes>,
        shape: Option<Shape>,
        request: &str,
        cancel: &Cancel,
    ) -> Result<Unplanned, Fault> {
        let request = Request::parse(request)?;
        // Said before anything is loaded.
        request.requirements()?;
        Ok(Unplanned {
            settings: self.settings.clone(),
            state: self.state(),
            input: Input::of(data, shape, &request)?,
            request,
            cancel: cancel.clone(),
        })
    }

    fn attend<T: Send + 'static>(
        &self,
        py: Python<'_>,
        job: Unplanned,
        work: impl FnOnce(&Job) -> Result<T, Fault> + Send + 'static,
    ) -> PyResult<T> {
        let cancel = job.cancel.clone();
        attend(py, &cancel, on_thread, move || job.run(work))
    }
}

/// Fetches models into a folder: those named, `all`, or the usual ones; returns the folder.
#[pyfunction]
#[pyo3(signature = (names, *, models, packaged, offline, progress))]
pub fn pull_models(
    py: Python<'_>,
    names: Vec<String>,
    models: Option<PathBuf>,
    packaged: Option<PathBuf>,
    offline: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<PathBuf> {
    let fetch = Fetch {
        offline,
        progress: progress.map(Arc::new),
    };
    let place = Place::of(models, packaged)?;
    let work = move || {
        let store = place.open()?;
        let manifest = store.manifest();
        let names: Vec<&str> = match names.as_slice() {
            [] => pull::wanted(manifest, &maoocr_engine::plan::Language::Auto),
            [all] if all == "all" => manifest.models.iter().map(|m| m.name.as_str()).collect(),
            names => names.iter().map(String::as_str).collect(),
        };
        pull::run(&store, &names, &fetch)?;
        Ok(place.folder)
    };
    attend(py, &Cancel::default(), on_thread, work)
}

/// What is known of all models, and whether they are installed, as JSON.
#[pyfunction]
#[pyo3(signature = (*, models, packaged))]
pub fn list_models(models: Option<PathBuf>, packaged: Option<PathBuf>) -> PyResult<String> {
    let store = Place::of(models, packaged)?.open()?;
    let entries: Vec<_> = Manifest::built_in()
        .models
        .iter()
        .map(|m| json!({"model": m, "installed": store.has(&m.name), "path": store.path(&m.name)}))
        .collect();
    Ok(json!(entries).to_string())
}
