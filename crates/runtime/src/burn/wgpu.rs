//! The GPU: adapters, and the kernels below Burn's tensor API.

use burn_backend::cubecl::dtype_to_storage_type;
use burn_backend::ops::FloatTensorOps;
use burn_backend::{DType, FloatDType, Shape, TensorMetadata};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, CubeDevice};
use burn_wgpu::{RuntimeOptions, WgpuBackend, WgpuDevice, graphics::AutoGraphicsApi};
use cubecl::wgpu::WgpuDeviceKind;
use cubek::convolution::{ConvolutionArgs, DepthwiseStrategy, DepthwiseTensors, launch_depthwise};

use super::kernels::{DepthwiseWindow, Kernels};
use super::session::BurnSession;
use crate::RuntimeError;

impl Kernels for CubeBackend {
    const NHWC: bool = true;

    /// CubeK's own kernel: Burn's `conv2d` takes the direct one without autotune, several times slower here.
    fn depthwise(
        picture: &CubeTensor,
        weights: &CubeTensor,
        window: &DepthwiseWindow,
    ) -> Option<CubeTensor> {
        let [batch, height, width, channels] = picture.shape().dims();
        // Few channels don't fill a subgroup and compile slowly; Burn draws the line here too.
        if channels < 32 && window.kernel.iter().product::<usize>() > 256 {
            return None;
        }
        let mut sizes = [height, width];
        for (i, size) in sizes.iter_mut().enumerate() {
            let reach = window.dilations[i] * (window.kernel[i] - 1) + 1;
            *size =
                (*size + window.padding[i].0 + window.padding[i].1 - reach) / window.strides[i] + 1;
        }
        let out = Self::float_empty(
            Shape::new([batch, sizes[0], sizes[1], channels]),
            &picture.device,
            FloatDType::F32,
        );
        // The kernel wants [C, kh, kw, 1], and turns it to what lies in memory here.
        let [kh, kw] = window.kernel;
        let filter = Self::float_reshape(weights.clone(), Shape::new([1, kh, kw, channels]));
        let filter = Self::float_permute(filter, &[3, 1, 2, 0]);
        let picture = into_contiguous(picture.clone());
        let client = picture.client.clone();
        let tensors = DepthwiseTensors {
            input: picture.binding(),
            weight: filter.binding(),
            out: out.clone().binding(),
        };
        let arguments = ConvolutionArgs {
            stride: window.strides,
            padding: [window.padding[0].0, window.padding[1].0],
            dilation: window.dilations,
        };
        let dtype = dtype_to_storage_type(DType::F32);
        launch_depthwise(
            &client,
            tensors,
            arguments,
            channels,
            dtype,
            DepthwiseStrategy::Routine,
        )
        .ok()?;
        Some(out)
    }
}

/// A GPU, or software that poses as one.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// Its name, kind and API, for people.
    pub name: String,
    /// Whether it is software on the CPU.
    pub software: bool,
    device: WgpuDevice,
}

/// The adapters of this machine, of the first graphics API that has any; looked up once. In a browser there is
/// always one.
#[cfg(not(target_family = "wasm"))]
pub fn adapters() -> Vec<Adapter> {
    static ADAPTERS: std::sync::OnceLock<Vec<Adapter>> = std::sync::OnceLock::new();
    ADAPTERS.get_or_init(enumerate).clone()
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

/// The adapters of this machine, of the first graphics API that has any. In a browser there is always one.
#[cfg(target_family = "wasm")]
pub fn adapters() -> Vec<Adapter> {
    vec![Adapter {
        name: "WebGPU".into(),
        software: false,
        device: WgpuDevice::default(),
    }]
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
mod tests {
    use burn_backend::TensorData;
    use burn_backend::ops::{ConvOptions, ModuleOps};

    use super::*;

    fn device() -> Option<CubeDevice> {
        let Some(adapter) = adapters().into_iter().next() else {
            eprintln!("skipped: no wgpu adapter");
            return None;
        };
        start(&adapter).unwrap();
        Some(CubeDevice::Wgpu(adapter.device))
    }

    #[test]
    fn ties_on_the_gpu() {
        let Some(device) = device() else { return };
        super::super::session::tests::ties_go_to_the_lowest_class::<CubeBackend>(&device);
    }

    #[test]
    fn depthwise_agrees_with_the_direct_kernel() {
        let Some(device) = device() else { return };
        let (channels, height, width) = (40, 9, 11);
        for (kernel, strides, pads) in [
            ([3, 3], [1, 1], [1, 1]),
            ([5, 5], [2, 1], [2, 2]),
            ([1, 7], [1, 1], [0, 3]),
        ] {
            let numbers = |n: usize| {
                (0..n)
                    .map(|i| ((i * 37) % 101) as f32 / 101.0 - 0.5)
                    .collect::<Vec<_>>()
            };
            let picture = TensorData::new(
                numbers(height * width * channels),
                vec![1, height, width, channels],
            );
            let picture = CubeBackend::float_from_data(picture, &device);
            let weights = TensorData::new(
                numbers(kernel[0] * kernel[1] * channels),
                vec![kernel[0], kernel[1], channels],
            );
            let weights = CubeBackend::float_from_data(weights, &device);
            let padding = pads.map(|p| (p, p));
            let window = DepthwiseWindow {
                kernel,
                strides,
                padding,
                dilations: [1, 1],
            };
            let ours =
                CubeBackend::depthwise(&picture, &weights, &window).expect("the kernel takes it");
            let direct = CubeBackend::float_reshape(
                CubeBackend::float_permute(weights, &[2, 0, 1]),
                Shape::new([channels, 1, kernel[0], kernel[1]]),
            );
            let options = ConvOptions {
                stride: strides,
                padding,
                dilation: [1, 1],
                groups: channels,
            };
            let picture = CubeBackend::float_permute(picture, &[0, 3, 1, 2]);
            let theirs = CubeBackend::float_permute(
                CubeBackend::conv2d(picture, direct, None, options),
                &[0, 2, 3, 1],
            );
            let read = |t| {
                let data = pollster::block_on(CubeBackend::float_into_data(t)).unwrap();
                data.try_into_vec::<f32>().unwrap()
            };
            let (ours, theirs) = (read(ours), read(theirs));
            assert_eq!(ours.len(), theirs.len());
            assert!(
                ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-5),
                "{kernel:?}"
            );
        }
    }
}
