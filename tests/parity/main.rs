//! Every executor must give ONNX Runtime's numbers, for every model and several shapes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use maoocr_runtime::{Device, Tensor};
use prost::Message;
use tract_onnx::pb;

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

/// ONNX Runtime's output for each of [`CASES`], computed once for all tests.
fn references() -> &'static [Tensor] {
    static REFERENCES: OnceLock<Vec<Tensor>> = OnceLock::new();
    REFERENCES.get_or_init(|| {
        make_references().expect("ONNX Runtime's outputs (cargo xtask setup installs it)")
    })
}

fn make_references() -> Result<Vec<Tensor>> {
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
    let read = |i: usize| -> Result<Tensor> {
        let bytes = std::fs::read(folder.path().join(format!("{i}.out")))?;
        let data = bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        let shape: Vec<usize> =
            serde_json::from_slice(&std::fs::read(folder.path().join(format!("{i}.out.json")))?)?;
        Ok(Tensor::new(shape, data)?)
    };
    (0..CASES.len()).map(read).collect()
}

/// The largest difference, or why the outputs don't agree.
fn compare(reference: &Tensor, output: &Tensor) -> Result<f32> {
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
    if reference.shape().len() == 3 || reference.shape().len() == 2 {
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

/// All cases of a device that it can run; a device that isn't there fails.
fn check(device: &str, small_only: bool) -> Result<()> {
    let device = Device::parse(device)?;
    let mut wrong = Vec::new();
    for (case, reference) in CASES.iter().zip(references()) {
        if small_only && !case.small {
            continue;
        }
        let name = format!("{device}, {} {:?}", case.model, case.shape);
        let session = match device.load(&std::fs::read(case.path()?)?) {
            Ok(session) => session,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let outcome = pollster::block_on(session.run(case.input()?)).map_err(anyhow::Error::from);
        match outcome.and_then(|output| compare(reference, &output)) {
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

/// Were the comparison too lenient, it would let this through: one kernel of the first convolution turned over.
/// Not for the orientation classifiers: two classes, one of them at 1.0000, hide a change as small as this.
#[test]
fn one_changed_kernel_is_noticed() -> Result<()> {
    for model in ["ppocrv6-tiny-det", "ppocrv6-tiny-rec"] {
        let found = CASES
            .iter()
            .zip(references())
            .find(|(c, _)| c.model == model);
        let (case, reference) = found.context(model)?;
        let onnx = std::fs::read(case.path()?)?;
        for (changed, agrees) in [(onnx.clone(), true), (turn_kernel_over(&onnx)?, false)] {
            let session = Device::parse("tract")?.load(&changed)?;
            let output = pollster::block_on(session.run(case.input()?))?;
            let outcome = compare(reference, &output);
            ensure!(
                outcome.is_ok() == agrees,
                "{model}: {outcome:?}, expected it to agree: {agrees}"
            );
        }
    }
    Ok(())
}

/// The same model with the sign of the first convolution's strongest kernel changed.
fn turn_kernel_over(onnx: &[u8]) -> Result<Vec<u8>> {
    let mut model = pb::ModelProto::decode(onnx)?;
    let graph = model.graph.as_mut().context("a graph")?;
    let convolution = graph
        .node
        .iter()
        .find(|n| n.op_type == "Conv")
        .context("a Conv")?;
    let name = convolution.input.get(1).context("weights")?.clone();
    let floats = |raw: &[u8]| -> Vec<f32> {
        raw.chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect()
    };
    let constants = graph
        .node
        .iter_mut()
        .filter(|n| n.op_type == "Constant" && n.output.first() == Some(&name));
    let held = constants
        .flat_map(|n| &mut n.attribute)
        .filter_map(|a| a.t.as_mut());
    let weights = graph
        .initializer
        .iter_mut()
        .filter(|t| t.name == name)
        .chain(held)
        .next();
    let weights = weights.with_context(|| format!("the constant `{name}`"))?;
    let mut values = if weights.raw_data.is_empty() {
        weights.float_data.clone()
    } else {
        floats(&weights.raw_data)
    };
    let size: usize = weights.dims.iter().skip(1).map(|&d| d as usize).product();
    let strength = |kernel: &[f32]| kernel.iter().map(|v| v.abs()).sum::<f32>();
    let strongest = values
        .chunks_exact_mut(size)
        .max_by(|a, b| strength(a).total_cmp(&strength(b)))
        .context("a kernel")?;
    strongest.iter_mut().for_each(|v| *v = -*v);
    weights.float_data.clear();
    weights.raw_data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Ok(model.encode_to_vec())
}
