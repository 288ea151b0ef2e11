//! Every executor must give ONNX Runtime's numbers, for every model and several shapes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use maoocr_runtime::graph::{Graph, Op};
use maoocr_runtime::{Device, Session, Tensor, onnx};

/// Largest difference allowed. Real ones stay below 2e-4; a wrong kernel is off by far more.
const TOLERANCE: f32 = 2e-3;

/// A model and an input shape. `small` ones also run where execution is slow: Burn's `flex`, a GPU in software.
struct Case {
    model: &'static str,
    shape: [usize; 4],
    small: bool,
}

const fn case(model: &'static str, shape: [usize; 4], small: bool) -> Case {
    Case {
        model,
        shape,
        small,
    }
}

const CASES: [Case; 15] = [
    case("ppocrv6-tiny-det", [1, 3, 64, 96], true),
    case("ppocrv6-tiny-det", [1, 3, 320, 256], false),
    case("ppocrv6-tiny-det", [2, 3, 96, 160], false),
    case("ppocrv6-small-det", [1, 3, 96, 64], true),
    case("ppocrv6-small-det", [1, 3, 256, 352], false),
    case("ppocrv6-tiny-rec", [1, 3, 48, 96], true),
    case("ppocrv6-tiny-rec", [3, 3, 48, 320], false),
    case("ppocrv6-tiny-rec", [1, 3, 48, 1000], false),
    case("ppocrv6-small-rec", [1, 3, 48, 104], true),
    case("ppocrv6-small-rec", [2, 3, 48, 320], false),
    case("ppocrv5-line-orientation", [1, 3, 80, 160], true),
    case("ppocrv5-line-orientation", [5, 3, 80, 160], false),
    case("page-orientation", [1, 3, 224, 224], true),
    case("page-orientation", [2, 3, 224, 224], false),
    case("layout-cdla", [1, 3, 800, 608], false),
];

impl Case {
    /// A real picture scaled to the shape, batch after batch from a different part of it. Noise would leave most
    /// activations where a network never works, and the scores of all classes nearly equal.
    fn input(&self) -> Result<Tensor> {
        let [batch, channels, height, width] = self.shape;
        let page = image::open(maoocr_tests::samples().join("photo.png"))?.to_rgb8();
        let mut data = Vec::with_capacity(self.shape.iter().product());
        for n in 0..batch {
            // Lines of text for a recogniser, whole paragraphs else.
            let (y, h) = if height < 100 {
                (2 + 19 * n as u32, 38)
            } else {
                (10 * n as u32, 150)
            };
            let part = image::imageops::crop_imm(&page, 4, y, 376, h).to_image();
            let filter = image::imageops::FilterType::Triangle;
            let scaled = image::imageops::resize(&part, width as u32, height as u32, filter);
            for channel in 0..channels {
                data.extend(
                    scaled
                        .pixels()
                        .map(|p| (f32::from(p[channel]) / 255.0 - 0.5) / 0.5),
                );
            }
        }
        Ok(Tensor::new(self.shape, data)?)
    }

    fn path(&self) -> Result<PathBuf> {
        Ok(maoocr_tests::models()?.join(format!("{}.onnx", self.model)))
    }
}

/// ONNX Runtime's outputs for each of [`CASES`], computed once for all tests.
fn references() -> &'static [Vec<Tensor>] {
    static REFERENCES: OnceLock<Vec<Vec<Tensor>>> = OnceLock::new();
    REFERENCES.get_or_init(|| {
        make_references().expect("ONNX Runtime's outputs (cargo xtask setup installs it)")
    })
}

fn make_references() -> Result<Vec<Vec<Tensor>>> {
    let folder = tempfile::tempdir()?;
    let mut cases = Vec::new();
    for (i, case) in CASES.iter().enumerate() {
        let bytes: Vec<u8> = case
            .input()?
            .data()
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        std::fs::write(folder.path().join(format!("{i}.in")), bytes)?;
        let (model, input, output) = (case.path()?, format!("{i}.in"), format!("{i}.out"));
        ensure!(
            model.exists(),
            "{} is not there: maoocr models pull {}",
            model.display(),
            case.model
        );
        cases.push(serde_json::json!({"model": model, "shape": case.shape, "input": input, "output": output}));
    }
    std::fs::write(
        folder.path().join("cases.json"),
        serde_json::to_vec(&cases)?,
    )?;
    let python = std::env::var_os("MAOOCR_PYTHON").unwrap_or_else(|| "python3".into());
    let status = Command::new(&python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("parity/reference.py"))
        .arg(folder.path())
        .status()
        .with_context(|| format!("starting {}", python.display()))?;
    ensure!(status.success(), "reference.py: {status}");
    let read = |i: usize| -> Result<Vec<Tensor>> {
        let shapes = std::fs::read(folder.path().join(format!("{i}.out.json")))?;
        let shapes: Vec<Vec<usize>> = serde_json::from_slice(&shapes)?;
        let outputs = shapes.into_iter().enumerate().map(|(k, shape)| {
            let bytes = std::fs::read(folder.path().join(format!("{i}.out.{k}")))?;
            let values = bytes.chunks_exact(4);
            let data = values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            Ok(Tensor::new(shape, data.collect())?)
        });
        outputs.collect()
    };
    (0..CASES.len()).map(read).collect()
}

/// The largest difference of all outputs, or why they don't agree.
fn compare_all(references: &[Tensor], outputs: &[Tensor]) -> Result<f32> {
    ensure!(
        references.len() == outputs.len() && !outputs.is_empty(),
        "{} outputs where {} are right",
        outputs.len(),
        references.len()
    );
    let mut largest = 0f32;
    for (index, (reference, output)) in references.iter().zip(outputs).enumerate() {
        let classes = references.len() == 1;
        let difference =
            compare(reference, output, classes).with_context(|| format!("output {index}"))?;
        largest = largest.max(difference);
    }
    Ok(largest)
}

/// The same for one output, which may be probabilities of classes along its last axis.
fn compare(reference: &Tensor, output: &Tensor, of_classes: bool) -> Result<f32> {
    ensure!(
        reference.shape() == output.shape(),
        "shape {:?} where {:?} is right",
        output.shape(),
        reference.shape()
    );
    let mut largest = 0f32;
    for (i, (a, b)) in reference.data().iter().zip(output.data()).enumerate() {
        let difference = (a - b).abs();
        // Written so that NaN fails.
        if difference.is_nan() || difference > TOLERANCE {
            bail!("element {i} is {b} where {a} is right");
        }
        largest = largest.max(difference);
    }
    let classes = reference.shape().last().copied().unwrap_or(1).max(1);
    if of_classes && matches!(reference.shape().len(), 2 | 3) {
        let rows = reference
            .data()
            .chunks_exact(classes)
            .zip(output.data().chunks_exact(classes));
        for (row, (a, b)) in rows.enumerate() {
            let (first, second) = (argmax(a), argmax(b));
            // Two classes that the reference itself can't tell apart may change places.
            ensure!(
                first == second || a[first] - a[second] < 1e-6,
                "step {row} is class {second} where {first} is right"
            );
        }
    }
    Ok(largest)
}

fn argmax(row: &[f32]) -> usize {
    (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
}

/// Loads a model on a device, and on no other: what was chosen instead would be tested twice.
fn load(device: &Device, onnx: &[u8]) -> Result<std::sync::Arc<dyn Session>> {
    let session = device.load(onnx)?;
    let executor = session.executor();
    if let Some(reason) = session.fallback() {
        bail!("{executor} runs it, since {reason}");
    }
    let own = match device {
        Device::Cpu => executor.starts_with("cpu ("),
        Device::Tract => executor == "tract",
        Device::Flex => executor.contains("flex"),
        _ => executor.contains("wgpu"),
    };
    ensure!(own, "{executor} runs what was asked of {device}");
    Ok(session)
}

/// All cases of a device that it can run; a device that isn't there fails.
fn check(device: &str, small_only: bool) -> Result<()> {
    let device = Device::parse(device)?;
    let mut wrong = Vec::new();
    for (case, reference) in CASES.iter().zip(references()) {
        if small_only && !case.small {
            continue;
        }
        let name = format!("{device}, {} {:?}", case.model, case.shape);
        let session = match load(&device, &std::fs::read(case.path()?)?) {
            Ok(session) => session,
            Err(error) => {
                wrong.push(format!("{name}: {error:#}"));
                continue;
            }
        };
        let outcome =
            pollster::block_on(session.run_all(case.input()?)).map_err(anyhow::Error::from);
        match outcome.and_then(|outputs| compare_all(reference, &outputs)) {
            Ok(largest) => eprintln!("{name} on {}: within {largest:.1e}", session.executor()),
            Err(error) => wrong.push(format!("{name} on {}: {error:#}", session.executor())),
        }
    }
    ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn tract_agrees_with_onnx_runtime() -> Result<()> {
    check("tract", false)
}

#[test]
fn the_cpu_agrees_with_onnx_runtime() -> Result<()> {
    check("cpu", false)
}

#[test]
fn flex_agrees_with_onnx_runtime() -> Result<()> {
    check("flex", true)
}

/// The adapter with the number 0: a GPU, or where there is none the software one that `cargo xtask setup` installs.
#[test]
fn the_gpu_agrees_with_onnx_runtime() -> Result<()> {
    check("gpu:0", true)
}

/// Layers that have a kernel of their own in some executor.
#[derive(Clone, Copy, Debug)]
enum Layer {
    /// A convolution whose outputs see all channels.
    Dense,
    /// A product of single pixels.
    Pointwise,
    /// A convolution of each channel by itself.
    Depthwise,
    /// A transposed convolution.
    Transposed,
    /// A product with constant weights.
    Linear,
}

/// Were the comparison too lenient, or an executor's kernel never run, it would let these through: in one layer of each
/// kind the strongest kernel is turned over, for every executor. Not in the orientation classifiers: two classes, one of
/// them at 1.0000, hide a change as small as this.
fn changes_are_noticed(device: &str) -> Result<()> {
    let device = Device::parse(device)?;
    let mut wrong = Vec::new();
    for (model, layers) in [
        (
            "ppocrv6-tiny-det",
            &[
                Layer::Dense,
                Layer::Pointwise,
                Layer::Depthwise,
                Layer::Transposed,
            ][..],
        ),
        (
            "ppocrv6-tiny-rec",
            &[
                Layer::Dense,
                Layer::Pointwise,
                Layer::Depthwise,
                Layer::Linear,
            ],
        ),
    ] {
        let cases = CASES.iter().zip(references());
        let found = cases.into_iter().find(|(c, _)| c.model == model);
        let (case, reference) = found.context(model)?;
        let file = std::fs::read(case.path()?)?;
        let outcome = |file: &[u8]| -> Result<f32> {
            let outputs = pollster::block_on(load(&device, file)?.run_all(case.input()?))?;
            compare_all(reference, &outputs)
        };
        outcome(&file).with_context(|| model)?;
        for &layer in layers {
            let changed = turn_kernel_over(&file, layer)
                .with_context(|| format!("{model}: a layer of the kind {layer:?}"))?;
            if let Ok(largest) = outcome(&changed) {
                wrong.push(format!(
                    "{device}: {model} with a changed kernel ({layer:?}) is within {largest:.1e}"
                ));
            }
        }
    }
    ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn tract_notices_changed_kernels() -> Result<()> {
    changes_are_noticed("tract")
}

#[test]
fn the_cpu_notices_changed_kernels() -> Result<()> {
    changes_are_noticed("cpu")
}

#[test]
fn flex_notices_changed_kernels() -> Result<()> {
    changes_are_noticed("flex")
}

#[test]
fn the_gpu_notices_changed_kernels() -> Result<()> {
    changes_are_noticed("gpu:0")
}

/// Weights of the first layer of a kind, and how many of them one output has side by side.
fn weights(graph: &Graph, layer: Layer) -> Option<(&[f32], usize)> {
    graph.nodes.iter().find_map(|node| {
        let constant = graph.constants.get(&node.input(1)?)?;
        let floats = constant.as_f32()?;
        let of_one = constant.shape.iter().skip(1).product();
        let is = match (&node.op, layer) {
            (Op::Conv { groups, window, .. }, _) => {
                let pointwise = window.kernel == [1, 1];
                match layer {
                    Layer::Dense => *groups == 1 && !pointwise,
                    Layer::Pointwise => *groups == 1 && pointwise,
                    Layer::Depthwise => *groups > 1,
                    Layer::Transposed | Layer::Linear => false,
                }
            }
            (Op::ConvTranspose { .. }, Layer::Transposed) => true,
            (Op::MatMul | Op::Linear { .. }, Layer::Linear) => constant.shape.len() == 2,
            _ => false,
        };
        is.then_some((floats, of_one))
    })
}

/// The same model with the sign of the layer's strongest kernel changed where it lies in the file.
fn turn_kernel_over(file: &[u8], layer: Layer) -> Result<Vec<u8>> {
    let graph = onnx::load(file)?;
    let (floats, size) = weights(&graph, layer).context("there is none")?;
    let strength = |kernel: &[f32]| kernel.iter().map(|v| v.abs()).sum::<f32>();
    let strongest = floats
        .chunks_exact(size)
        .max_by(|a, b| strength(a).total_cmp(&strength(b)))
        .context("a kernel")?;
    let bytes =
        |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let (whole, kernel) = (bytes(floats), bytes(strongest));
    let find = |within: &[u8], what: &[u8]| within.windows(what.len()).position(|w| w == what);
    let at = find(file, &whole).context("its weights, as floats in the file")?
        + find(&whole, &kernel).context("the kernel among them")?;
    let mut changed = file.to_vec();
    for float in changed[at..at + kernel.len()].chunks_exact_mut(4) {
        float[3] ^= 0x80;
    }
    Ok(changed)
}
