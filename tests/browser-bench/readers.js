// Each reader: `open()` makes it ready with one thread, what it returns reads a picture's bytes into text.

import Tesseract from "tesseract.js";
import * as ort from "onnxruntime-web";
import { PaddleOcrService } from "ppu-paddle-ocr/web";

import { relaxedSimd } from "../../www/lib/src/simd.ts";

const bytes = async (path) => (await fetch(path)).arrayBuffer();

/** The module in a worker, as the web app has it: with relaxed SIMD where the browser knows it. */
async function maoocr(tier, device, relaxed = relaxedSimd()) {
  const script = device === "cpu" ? (relaxed ? "/relaxed-worker.js" : "/worker.js") : "/gpu-worker.js";
  const worker = new Worker(script, { type: "module" });
  const ask = (message, transfer) =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => ("error" in data ? reject(new Error(data.error)) : resolve(data.value));
      worker.onerror = ({ message: text }) => reject(new Error(text));
      worker.postMessage(message, transfer);
    });
  const dictionary = tier === "tiny" ? "ppocrv6-tiny-dict" : "ppocrv6-dict";
  const names = [`ppocrv6-${tier}-det.onnx`, `ppocrv6-${tier}-rec.onnx`, `${dictionary}.txt`];
  for (const name of names) {
    const file = await bytes(`/models/${name}`);
    await ask({ device, load: name.replace(/\.\w+$/, ""), file }, [file]);
  }
  return (picture) => ask({ recognize: picture });
}

async function tesseract() {
  const made = {};
  for (const language of ["eng", "chi_sim"]) {
    made[language] = await Tesseract.createWorker(language, 1, {
      workerPath: "/npm/tesseract.js/dist/worker.min.js",
      corePath: "/npm/tesseract.js-core",
      langPath: `/npm/@tesseract.js-data/${language}/4.0.0_best_int`,
      cacheMethod: "none",
    });
  }
  return async (picture, language) => {
    const { data } = await made[language].recognize(new Blob([picture]));
    return data.text;
  };
}

/** PP-OCR's pipeline by others over ONNX Runtime, with the weights that MaoOCR runs. */
async function ppu(tier) {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = "/npm/onnxruntime-web/dist/";
  const dictionary = tier === "tiny" ? "ppocrv6-tiny-dict" : "ppocrv6-dict";
  const service = new PaddleOcrService({
    model: {
      detection: await bytes(`/models/ppocrv6-${tier}-det.onnx`),
      recognition: await bytes(`/models/ppocrv6-${tier}-rec.onnx`),
      charactersDictionary: await bytes(`/models/${dictionary}.txt`),
    },
    session: { executionProviders: ["wasm"], graphOptimizationLevel: "all" },
  });
  await service.initialize();
  return async (picture) => (await service.recognize(picture, { noCache: true })).text;
}

const READERS = {
  "maoocr tiny": () => maoocr("tiny", "cpu"),
  "maoocr small": () => maoocr("small", "cpu"),
  "maoocr tiny, plain SIMD": () => maoocr("tiny", "cpu", false),
  "maoocr small, plain SIMD": () => maoocr("small", "cpu", false),
  "tesseract.js": tesseract,
  "ppu-paddle-ocr tiny": () => ppu("tiny"),
  "ppu-paddle-ocr small": () => ppu("small"),
  "maoocr tiny, WebGPU": () => maoocr("tiny", "gpu:0"),
};

const opened = {};

/** Text and ms of one reading; a reader is made ready by its first call. */
window.read = async (name, path, language) => {
  opened[name] ??= await READERS[name]();
  const picture = await bytes(path);
  const began = performance.now();
  const text = await opened[name](picture, language);
  return { text, ms: performance.now() - began };
};
