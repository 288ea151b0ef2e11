//! A browser's GPU: asked for once, and never waited for.

use std::sync::{Arc, Mutex, OnceLock};

use burn_wgpu::{RuntimeOptions, WgpuDevice, graphics::AutoGraphicsApi};
use js_sys::wasm_bindgen::JsCast;
use js_sys::{Function, JsString, Promise, Reflect};
use wasm_bindgen_futures::JsFuture;

use super::Adapter;
use crate::RuntimeError;

/// The one adapter that the browser gave.
static STARTED: Mutex<Option<Adapter>> = Mutex::new(None);
/// The first error that belongs to no call.
static FAULT: OnceLock<Fault> = OnceLock::new();

/// Names of software, some of which browsers don't mark as such.
const SOFTWARE: [&str; 6] = [
    "swiftshader",
    "llvmpipe",
    "lavapipe",
    "softpipe",
    "warp",
    "basic render",
];

enum Fault {
    Lost(String),
    Memory(String),
    Other(String),
}

/// The adapter that was started, if there is one.
pub fn adapters() -> Vec<Adapter> {
    let started = STARTED.lock().unwrap_or_else(|e| e.into_inner());
    started.iter().cloned().collect()
}

/// Whether there can be a GPU at all: whether one was started.
pub fn possible() -> bool {
    !adapters().is_empty()
}

/// Asks the browser for its GPU, software too, once: loading and running can't wait for it.
pub async fn start() -> Result<(), RuntimeError> {
    if possible() {
        return Ok(());
    }
    let failed = |e: &dyn std::fmt::Display| RuntimeError::Device {
        reason: format!("WebGPU: {e}"),
    };
    let options = RuntimeOptions::try_default().map_err(|e| failed(&e))?;
    let device = WgpuDevice::default();
    let made = burn_wgpu::try_init_setup_async::<AutoGraphicsApi>(&device, options).await;
    // Another call may have been faster.
    if possible() {
        return Ok(());
    }
    let setup = made.map_err(|e| failed(&e))?;
    setup.device.set_device_lost_callback(|_, reason| {
        FAULT.get_or_init(|| Fault::Lost(reason));
    });
    // CubeCL's own handler panics, in the browser's event loop, where nobody hears of it.
    setup.device.on_uncaptured_error(Arc::new(|error| {
        FAULT.get_or_init(|| match error {
            wgpu::Error::OutOfMemory { source } => Fault::Memory(source.to_string()),
            other => Fault::Other(other.to_string()),
        });
    }));
    let (name, software) = describe(&setup);
    let adapter = Adapter {
        name: format!("{name}, WebGPU"),
        software,
        device,
    };
    *STARTED.lock().unwrap_or_else(|e| e.into_inner()) = Some(adapter);
    Ok(())
}

/// Its name, and whether it is software.
fn describe(setup: &burn_wgpu::WgpuSetup) -> (String, bool) {
    let info = setup.adapter.get_info();
    let told = setup
        .device
        .as_webgpu()
        .and_then(|device| Reflect::get(device, &"adapterInfo".into()).ok());
    let field = |name: &str| {
        let value = Reflect::get(told.as_ref()?, &name.into()).ok()?;
        let text: String = value.dyn_into::<JsString>().ok()?.into();
        Some(text).filter(|text| !text.is_empty())
    };
    let name = field("description").unwrap_or_else(|| {
        let parts = [field("vendor"), field("architecture"), field("device")];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        parts.join(" ")
    });
    let lower = format!("{name} {}", field("architecture").unwrap_or_default()).to_lowercase();
    let software = info.device_type == wgpu::DeviceType::Cpu
        || SOFTWARE.iter().any(|known| lower.contains(known));
    let name = if name.is_empty() {
        "unnamed".into()
    } else {
        name
    };
    (name, software)
}

/// How long the reason of a failed read is waited for, ms: browsers refuse the read before they say that the GPU is gone.
const PATIENCE: u32 = 100;

pub(in crate::burn) async fn fault(failed: bool) -> Option<RuntimeError> {
    if failed && FAULT.get().is_none() {
        wait(PATIENCE).await;
    }
    Some(match FAULT.get()? {
        Fault::Lost(reason) => RuntimeError::Lost {
            reason: reason.clone(),
        },
        Fault::Memory(reason) => RuntimeError::Memory {
            reason: reason.clone(),
        },
        Fault::Other(reason) => RuntimeError::Run {
            reason: reason.clone(),
        },
    })
}

async fn wait(ms: u32) {
    let global = js_sys::global();
    let Ok(timer) = Reflect::get(&global, &"setTimeout".into()) else {
        return;
    };
    let Ok(timer) = timer.dyn_into::<Function>() else {
        return;
    };
    let over = Promise::new(&mut |resolve, _| {
        timer.call2(&global, &resolve, &ms.into()).ok();
    });
    JsFuture::from(over).await.ok();
}
