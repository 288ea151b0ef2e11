// CPU time of the WebAssembly module, with floats and with 8-bit weights, against onnxruntime-web's: same weights, same
// inputs, one thread, one process.
// node bench.mjs [--runs N] [--only PART]

import { parseArgs } from "node:util";

import * as ort from "onnxruntime-web";

import { maoocr, model } from "./files.mjs";

const { values } = parseArgs({
  options: { runs: { type: "string", default: "7" }, only: { type: "string", default: "" } },
});
const runs = Number(values.runs);

ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

const SHAPES = {
  det: [[1, 3, 640, 640], [1, 3, 960, 960]],
  rec: [[1, 3, 48, 320], [6, 3, 48, 640]],
};

/** Numbers that every run draws alike, -1 to 1, smooth enough to resemble a picture. */
function input(length) {
  let state = 1;
  let last = 0;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    last = 0.9 * last + 0.1 * ((state / 2 ** 32) * 8 - 4);
    return Math.max(-1, Math.min(1, last));
  });
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

async function cpuTime(work) {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

const rows = [];
for (const tier of ["tiny", "small"]) {
  for (const [task, shapes] of Object.entries(SHAPES)) {
    const name = `ppocrv6-${tier}-${task}`;
    if (!name.includes(values.only)) continue;
    const bytes = model(name);
    const ours = await maoocr.Model.load(bytes);
    const int8 = await maoocr.Model.load(bytes, "cpu:int8");
    const theirs = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
    for (const shape of shapes) {
      const data = input(shape.reduce((a, b) => a * b));
      let [our, their] = [null, null];
      const one = async () => (our = (await ours.run(data, shape)).data);
      const small = () => int8.run(data, shape);
      const other = async () => {
        const feeds = { [theirs.inputNames[0]]: new ort.Tensor("float32", data, shape) };
        their = (await theirs.run(feeds))[theirs.outputNames[0]].data;
      };
      // The first runs plan and compile.
      for (let i = 0; i < 2; i++) {
        await one();
        await small();
        await other();
      }
      const times = { one: [], small: [], other: [] };
      for (let i = 0; i < runs; i++) {
        times.one.push(await cpuTime(one));
        times.small.push(await cpuTime(small));
        times.other.push(await cpuTime(other));
      }
      let difference = our.length === their.length ? 0 : NaN;
      for (let i = 0; i < our.length; i++) difference = Math.max(difference, Math.abs(our[i] - their[i]));
      rows.push({
        model: `${tier} ${task}`,
        shape: shape.join("×"),
        "MaoOCR ms": median(times.one).toFixed(1),
        "ort-web ms": median(times.other).toFixed(1),
        ratio: (median(times.one) / median(times.other)).toFixed(2),
        "int8 ms": median(times.small).toFixed(1),
        "int8 ratio": (median(times.small) / median(times.other)).toFixed(2),
        "max abs difference": difference.toExponential(1),
      });
      console.error(Object.values(rows.at(-1)).join("  "));
    }
    console.error(`  ${name}: ${ours.executor}, ${int8.executor}`);
    await theirs.release();
    ours.free();
    int8.free();
  }
}
console.table(rows);
