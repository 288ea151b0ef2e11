//! The GPU: its adapters, and how one is started.

#[cfg(target_family = "wasm")]
mod web;

use burn_cubecl::{CubeBackend, CubeDevice};
use burn_wgpu::WgpuDevice;
#[cfg(not(target_family = "wasm"))]
use burn_wgpu::{RuntimeOptions, WgpuBackend, graphics::AutoGraphicsApi};
#[cfg(not(target_family = "wasm"))]
use cubecl::wgpu::WgpuDeviceKind;

use super::session::BurnSession;
use crate::RuntimeError;

#[cfg(target_family = "wasm")]
pub(super) use web::fault;
#[cfg(target_family = "wasm")]
pub use web::{adapters, possible, start};

/// A GPU, or software that poses as one.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// Its name, kind and API, for people.
    pub name: String,
    /// Whether it is software on the CPU.
    pub software: bool,
    device: WgpuDevice,
}

/// The adapters of this machine, of the first graphics API that has any; looked up once.
#[cfg(not(target_family = "wasm"))]
pub fn adapters() -> Vec<Adapter> {
    static ADAPTERS: std::sync::OnceLock<Vec<Adapter>> = std::sync::OnceLock::new();
    ADAPTERS.get_or_init(enumerate).clone()
}

/// Whether there can be a GPU at all. Asking Vulkan takes longer, and on a machine without a display Mesa complains on
/// standard error while it is asked.
#[cfg(not(target_family = "wasm"))]
pub fn possible() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    // Mesa and AMD; NVIDIA; Windows' GPU in WSL; the makers' own drivers of Mali and Adreno.
    let files = ["nvidiactl", "dxg", "mali0", "kgsl-3d0"];
    let render = || {
        let entries = std::fs::read_dir("/dev/dri")
            .into_iter()
            .flatten()
            .flatten();
        entries
            .into_iter()
            .any(|e| e.file_name().to_string_lossy().starts_with("renderD"))
    };
    files
        .iter()
        .any(|f| std::path::Path::new("/dev").join(f).exists())
        || render()
}

#[cfg(not(target_family = "wasm"))]
fn enumerate() -> Vec<Adapter> {
    let apis = [
        (wgpu::Backends::VULKAN, WgpuBackend::Vulkan),
        (wgpu::Backends::METAL, WgpuBackend::Metal),
        (wgpu::Backends::DX12, WgpuBackend::Dx12),
        (wgpu::Backends::GL, WgpuBackend::Gl),
    ];
    for (backends, api) in apis {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let found = cubecl::future::block_on(instance.enumerate_adapters(backends));
        let mut counts = [0; 4];
        let list: Vec<Adapter> = found
            .iter()
            .map(|adapter| {
                let info = adapter.get_info();
                // CubeCL numbers the adapters of each kind on their own.
                let mut next = |kind: usize| {
                    counts[kind] += 1;
                    counts[kind] - 1
                };
                let kind = match info.device_type {
                    wgpu::DeviceType::DiscreteGpu => WgpuDeviceKind::DiscreteGpu(next(0)),
                    wgpu::DeviceType::IntegratedGpu => WgpuDeviceKind::IntegratedGpu(next(1)),
                    wgpu::DeviceType::VirtualGpu => WgpuDeviceKind::VirtualGpu(next(2)),
                    wgpu::DeviceType::Other => WgpuDeviceKind::Other(next(3)),
                    wgpu::DeviceType::Cpu => WgpuDeviceKind::Cpu,
                };
                Adapter {
                    name: format!("{}, {:?}, {:?}", info.name, info.device_type, info.backend),
                    software: info.device_type == wgpu::DeviceType::Cpu,
                    device: WgpuDevice::new(kind).on(api),
                }
            })
            .collect();
        if !list.is_empty() {
            return list;
        }
    }
    Vec::new()
}

/// Brings the device up once per process; a second attempt would be refused.
#[cfg(not(target_family = "wasm"))]
fn start(adapter: &Adapter) -> Result<(), RuntimeError> {
    use std::sync::Mutex;

    static STARTED: Mutex<Vec<WgpuDevice>> = Mutex::new(Vec::new());
    let mut started = STARTED.lock().unwrap_or_else(|e| e.into_inner());
    if started.contains(&adapter.device) {
        return Ok(());
    }
    let failed = |e: &dyn std::fmt::Display| RuntimeError::Device {
        reason: format!("{}: {e}", adapter.name),
    };
    let options = RuntimeOptions::try_default().map_err(|e| failed(&e))?;
    burn_wgpu::try_init_setup::<AutoGraphicsApi>(&adapter.device, options)
        .map_err(|e| failed(&e))?;
    started.push(adapter.device.clone());
    Ok(())
}

pub(super) fn load(
    onnx: &[u8],
    adapter: &Adapter,
) -> Result<BurnSession<CubeBackend>, RuntimeError> {
    #[cfg(not(target_family = "wasm"))]
    start(adapter)?;
    let device = CubeDevice::Wgpu(adapter.device.clone());
    BurnSession::load(onnx, device, format!("burn wgpu ({})", adapter.name))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The first adapter, started.
    pub(in crate::burn) fn device() -> CubeDevice {
        let found = adapters().into_iter().next();
        let adapter = found.expect("a wgpu adapter; `cargo xtask setup` installs one in software");
        start(&adapter).unwrap();
        CubeDevice::Wgpu(adapter.device)
    }

    #[test]
    fn ties_on_the_gpu() {
        super::super::session::tests::ties_go_to_the_lowest_class::<CubeBackend>(&device());
    }
}
