//! What the examples share: the tiny models from the place where `maoocr models pull` leaves them, and a picture.

use std::error::Error;
use std::sync::Arc;

use maoocr_engine::imaging::{self, Image, Limits};
use maoocr_engine::pipeline::Engine;
use maoocr_engine::plan::{DeviceClass, Plan, Requirements};
use maoocr_models::{Store, default_dir};
use maoocr_runtime::cpu::CpuSession;

/// The picture that the first argument names, and an engine with a plan to read it.
pub fn ready() -> Result<(Image, Engine, Plan), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name a picture")?;
    let bytes = std::fs::read(path)?;
    let mut source = imaging::open(&bytes, &Limits::default())?;
    let page = source.next_page().ok_or("the file has no pages")??;

    let store = Store::open(default_dir()?)?;
    let models = &store.manifest().models;
    let installed: Vec<_> = models.iter().filter(|m| store.has(&m.name)).collect();
    let engine = Engine::new(DeviceClass::Cpu);
    let plan = engine.plan(&Requirements::default(), &installed)?;
    for model in installed {
        if !plan.models().contains(&model.name.as_str()) {
            continue;
        }
        let session = Arc::new(CpuSession::load(&store.read(&model.name)?)?);
        let dictionary = match &model.dictionary {
            Some(name) => Some(String::from_utf8(store.read(name)?)?),
            None => None,
        };
        engine.install(model.clone(), session, dictionary.as_deref())?;
    }
    Ok((page.image, engine, plan))
}
