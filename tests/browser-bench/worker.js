import init, { Engine } from "maoocr-wasm";

let engine;

self.onmessage = async ({ data }) => {
  try {
    if (!engine) {
      await init();
      engine = await Engine.create({ device: data.device });
    }
    if (data.load) await engine.load(data.load, new Uint8Array(data.file));
    const pages = data.recognize ? await engine.recognize(new Uint8Array(data.recognize)) : [];
    self.postMessage({ value: pages.map(({ text }) => text).join("\n") });
  } catch (error) {
    self.postMessage({ error: String(error) });
  }
};
