// The WebAssembly module in Node: it reads what the command reads, tells of its progress, stops, and refuses what is
// no picture.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import { maoocr, model, sample, samples } from "./files.mjs";

const TINY = ["ppocrv6-tiny-det", "ppocrv6-tiny-rec", "ppocrv6-tiny-dict"];

async function reader(names = TINY, options = undefined) {
  const engine = new maoocr.Engine(options);
  for (const name of names) await engine.load(name, model(name));
  return engine;
}

const tiny = await reader();

/** The code of what `work` is rejected with. */
async function code(work) {
  try {
    await work();
  } catch (error) {
    assert.ok(error instanceof Error, `${error}`);
    assert.equal(error.name, "MaoOcrError", error.stack);
    assert.ok(error.message.length > 0);
    return error.code;
  }
  return null;
}

/** Without white space, which is a matter of layout, and with one form of the signs that come in two widths. */
const normalised = (text) =>
  text
    .replace(/\s/gu, "")
    .replace(/[\uff01-\uff5e]/gu, (c) => String.fromCharCode(c.charCodeAt(0) - 0xfee0))
    .replace(/[’‘]/gu, "'")
    .replace(/[“”]/gu, '"');

/** The first passage that doesn't come after the one before. */
function missing(text, passages) {
  const all = normalised(text);
  let from = 0;
  for (const passage of passages) {
    const at = all.indexOf(normalised(passage), from);
    if (at < 0) return passage;
    from = at + normalised(passage).length;
  }
  return null;
}

test("samples read as by a person", async () => {
  const small = await reader([
    ...["ppocrv6-small-det", "ppocrv6-small-rec", "ppocrv6-dict"],
    ...["ppocrv5-line-orientation", "page-orientation"],
  ]);
  const golden = readFileSync(samples("golden.jsonl"), "utf8").trim().split("\n").map(JSON.parse);
  assert.ok(golden.length > 5);
  for (const { file, passages } of golden) {
    const [document] = await small.recognize(sample(file));
    assert.equal(missing(document.text, passages), null, `${file}:\n${document.text}`);
  }
});

test("the answer is the command's", async () => {
  const [document] = await tiny.recognize(sample("photo.png"));
  assert.match(document.text, /Region-based segmentation/);
  assert.deepEqual(document.selected_models, ["ppocrv6-tiny-det", "ppocrv6-tiny-rec"]);
  assert.equal(document.plan.detector, "ppocrv6-tiny-det");
  assert.ok(document.plan.reasons.length > 0);
  assert.ok(document.confidence > 0.8 && document.confidence <= 1);
  assert.ok(document.timings.detect > 0 && document.processing_time > document.timings.detect);
  for (const line of document.lines) {
    assert.ok(line.text.length > 0 && line.words.length > 0);
    assert.equal(line.box.length, 4);
    for (const [x, y] of line.box) {
      assert.ok(x >= -9 && x <= document.width + 9 && y >= -9 && y <= document.height + 9);
    }
  }
});

test("boxes, then lines, are told before the answer", async () => {
  const events = [];
  const [document] = await tiny.recognize(sample("photo.png"), undefined, {
    onDetected: (boxes) => events.push({ boxes }),
    onLine: (line) => events.push({ line }),
  });
  const [{ boxes }, ...lines] = events;
  assert.ok(boxes.length >= document.lines.length);
  assert.equal(lines.length, boxes.length);
  for (const { line } of lines) assert.deepEqual(line.box, boxes[line.index]);
  for (const { text } of document.lines) {
    assert.ok(lines.some(({ line }) => line.text === text), text);
  }
});

test("a frame is a page", async () => {
  // 96 × 32 px, black on white: nothing to read, but a page all the same.
  const frame = { data: new Uint8ClampedArray(96 * 32 * 4).fill(255), width: 96, height: 32 };
  const [document] = await tiny.recognize(frame, { real_time: true });
  assert.deepEqual([document.text, document.width, document.height], ["", 96, 32]);
  for (const wrong of [
    { ...frame, width: 95 },
    { ...frame, width: 0, height: 0, data: new Uint8Array() },
    { ...frame, width: 2 ** 31, height: 2 ** 31 },
  ]) {
    assert.equal(await code(() => tiny.recognize(wrong)), "invalid_frame");
  }
  for (const wrong of [null, undefined, 7, "photo.png", {}, { ...frame, height: -1 }, { ...frame, data: [1] }]) {
    assert.equal(await code(() => tiny.recognize(wrong)), "invalid_argument");
  }
});

test("a signal stops the work, also from a timer", async () => {
  const picture = sample("columns.png");
  assert.equal(await code(() => tiny.recognize(picture, {}, { signal: AbortSignal.abort() })), "cancelled");

  const stop = new AbortController();
  let lines = 0;
  const began = performance.now();
  const onDetected = () => setTimeout(() => stop.abort(), 0);
  const onLine = () => (lines += 1);
  const stopped = await code(() => tiny.recognize(picture, {}, { signal: stop.signal, onDetected, onLine }));
  const time = performance.now() - began;
  assert.equal(stopped, "cancelled");
  const [document] = await tiny.recognize(picture);
  assert.ok(lines < document.lines.length / 2, `${lines} of ${document.lines.length} lines in ${time} ms`);
});

test("what a callback throws is what the promise is rejected with", async () => {
  const thrown = new RangeError("mine");
  const onLine = () => {
    throw thrown;
  };
  await assert.rejects(tiny.recognize(sample("photo.png"), {}, { onLine }), thrown);
  assert.match((await tiny.recognize(sample("photo.png")))[0].text, /segmentation/);
});

test("broken files are refused with a code", async () => {
  const broken = readdirSync(samples("broken"));
  assert.ok(broken.length >= 12);
  for (const file of broken) {
    const refused = await code(() => tiny.recognize(sample(`broken/${file}`)));
    // A JPEG cut short may be read as far as it goes.
    if (refused === null) assert.match(file, /truncated/);
    assert.ok(refused !== "internal" && refused !== undefined, `${file}: ${refused}`);
  }
  assert.equal(await code(() => tiny.recognize(new Uint8Array())), "empty");
});

test("requirements are checked", async () => {
  for (const [requirements, field] of [
    [{ langauge: "en" }, "langauge"],
    [{ language: "klingon" }, "language"],
    [{ real_time: "yes" }, "real_time"],
    [[], "requirements"],
  ]) {
    await assert.rejects(tiny.recognize(sample("photo.png"), requirements), (error) => {
      assert.deepEqual([error.code, error.field], ["invalid_requirements", field]);
      return error.allowed.length > 0;
    });
  }
  const circle = {};
  circle.self = circle;
  await assert.rejects(tiny.recognize(sample("photo.png"), circle), TypeError);
});

test("8-bit weights read the same words", async () => {
  const engine = await reader(TINY, { device: "cpu:int8" });
  assert.match(engine.device, /simd128, int8/);
  const [document] = await engine.recognize(sample("photo.png"));
  assert.match(document.text, /Region-based segmentation/);
  assert.match(document.device, /int8/);

  const shape = [1, 3, 48, 64];
  const input = Float32Array.from({ length: 3 * 48 * 64 }, (_, i) => Math.sin(i));
  const scores = async (device) => (await (await maoocr.Model.load(model(TINY[1]), device)).run(input, shape)).data;
  const [exact, rounded] = [await scores("cpu"), await scores("cpu:int8")];
  assert.equal(exact.length, rounded.length);
  const differences = exact.map((score, i) => Math.abs(score - rounded[i]));
  const largest = Math.max(...differences);
  assert.ok(largest > 0 && largest < 0.2, `${largest}`);
});

test("models come in any order, and only the right bytes", async () => {
  const engine = new maoocr.Engine({ constrained: true });
  const picture = sample("photo.png");
  assert.equal(await code(() => engine.recognize(picture)), "model_not_installed");

  const wanted = engine.plan({}, engine.models().map((m) => m.name));
  assert.deepEqual([wanted.detector, wanted.recogniser], ["ppocrv6-tiny-det", "ppocrv6-tiny-rec"]);
  assert.equal(await code(async () => engine.plan({}, ["ppocrv6-huge-det"])), "unknown_model");

  assert.equal(await code(() => engine.load("ppocrv6-huge-det", new Uint8Array(3))), "unknown_model");
  const changed = Uint8Array.from(model("ppocrv6-tiny-det"));
  changed[changed.length - 1] ^= 1;
  assert.equal(await code(() => engine.load("ppocrv6-tiny-det", changed)), "wrong_bytes");
  assert.equal(await code(() => engine.load("ppocrv6-tiny-det", changed.subarray(1))), "wrong_bytes");

  await engine.load("ppocrv6-tiny-rec", model("ppocrv6-tiny-rec"));
  await engine.load("ppocrv6-tiny-det", model("ppocrv6-tiny-det"));
  assert.equal(await code(() => engine.recognize(picture)), "model_not_installed");
  await engine.load("ppocrv6-tiny-dict", model("ppocrv6-tiny-dict"));
  assert.match((await engine.recognize(picture))[0].text, /segmentation/);
  const loaded = engine.models().filter((m) => m.loaded);
  assert.deepEqual(loaded.map((m) => m.name).sort(), [...TINY].sort());
});

test("only the named models are chosen from", async () => {
  const engine = await reader([...TINY, "ppocrv5-line-orientation", "page-orientation"]);
  const options = { models: TINY };
  const [document] = await engine.recognize(sample("photo.png"), {}, options);
  assert.deepEqual(document.selected_models, ["ppocrv6-tiny-det", "ppocrv6-tiny-rec"]);
  assert.equal(await code(() => engine.recognize(sample("photo.png"), {}, { models: [] })), "model_not_installed");
  assert.equal(await code(() => engine.recognize(sample("photo.png"), {}, { models: 7 })), "invalid_argument");
});

test("lines are spread over helpers, and read the same", async () => {
  const helper = new maoocr.Engine();
  await helper.load("ppocrv6-tiny-rec", model("ppocrv6-tiny-rec"));
  const [alone] = await tiny.recognize(sample("receipt.jpg"));
  let lines = 0;
  const helps = (name, input, shape) => {
    lines += shape[0];
    return helper.readLines(name, input, shape);
  };
  const [together] = await tiny.recognize(sample("receipt.jpg"), {}, { helpers: [helps, helps] });
  assert.deepEqual(together.lines, alone.lines);
  assert.ok(lines > 0, `${lines} of ${alone.lines.length} lines`);

  // Whatever becomes of a helper: the lines are read.
  const bad = [
    () => Promise.reject(new Error("gone")),
    () => Promise.resolve({ batch: 1 }),
    () => {
      throw new Error("gone");
    },
    () => 7,
  ];
  const [despite] = await tiny.recognize(sample("receipt.jpg"), {}, { helpers: bad });
  assert.equal(despite.text, alone.text);
  assert.equal(await code(() => tiny.recognize(sample("photo.png"), {}, { helpers: [7] })), "invalid_argument");
  assert.equal(await code(() => tiny.recognize(sample("photo.png"), {}, { helpers: 7 })), "invalid_argument");
  assert.equal(await code(() => helper.readLines("nobody", new Float32Array(1), [1])), "unknown_model");
});

test("pages are pixels, the way a person sees them", async () => {
  const [page, ...others] = await tiny.pages(sample("photo.png"));
  assert.deepEqual([page.width, page.height, others.length], [384, 191, 0]);
  assert.equal(page.data.length, 384 * 191 * 4);
  assert.equal(page.data[3], 255);
  const [again] = await tiny.recognize(page);
  assert.equal(again.text, (await tiny.recognize(sample("photo.png")))[0].text);
  assert.equal(await code(() => tiny.pages(sample("broken/text.png"))), "unknown_format");
  assert.equal(await code(() => tiny.pages(page)), "invalid_argument");
});

test("options are checked", async () => {
  assert.equal(await code(async () => new maoocr.Engine({ device: "abacus" })), "no_such_device");
  assert.equal(await code(async () => new maoocr.Engine({ devise: "cpu" })), "invalid_argument");
  assert.equal(await code(() => tiny.recognize(sample("photo.png"), {}, { onLine: 7 })), "invalid_argument");
  const strict = await reader(TINY, { limits: { max_pixels: 1000 } });
  assert.equal(await code(() => strict.recognize(sample("photo.png"))), "too_many_pixels");
});

test("a fault inside is an error of its call alone", async (t) => {
  const picture = sample("photo.png");
  // The engine takes the time of its stages. An exception where it expects none, then a clock that runs backwards,
  // which is a panic.
  let now = 1e9;
  const faults = [
    () => {
      throw new Error("no clock today");
    },
    () => (now -= 1000),
  ];
  const shown = t.mock.method(console, "error", () => {});
  for (const [index, fault] of faults.entries()) {
    const clock = t.mock.method(performance, "now", fault);
    await assert.rejects(tiny.recognize(picture), (error) => {
      assert.equal(error.code, "internal", error.stack);
      return [/no clock today/, /panicked at/][index].test(error.message);
    });
    clock.mock.restore();
    assert.match((await tiny.recognize(picture))[0].text, /segmentation/);
  }
  assert.equal(shown.mock.callCount(), 1, "a panic is shown on the console");
});

test("a picture that can't fit is refused before it is copied", async () => {
  assert.equal(await code(() => tiny.recognize(new Uint8Array(2 ** 31))), "too_large");
  const frame = { data: new Uint8Array(2 ** 31), width: 2 ** 15, height: 2 ** 14 };
  assert.equal(await code(() => tiny.recognize(frame)), "too_many_pixels");
  assert.equal(await code(() => maoocr.Model.load(new Uint8Array(2 ** 31))), "out_of_memory");
});

test("a single network runs, and refuses what doesn't fit", async () => {
  const network = await maoocr.Model.load(model("ppocrv6-tiny-det"));
  const { data, shape } = await network.run(new Float32Array(3 * 64 * 96).fill(0.5), [1, 3, 64, 96]);
  assert.deepEqual(shape, [1, 1, 64, 96]);
  assert.ok(data instanceof Float32Array && data.length === 64 * 96);
  assert.ok(data.every((p) => p >= 0 && p <= 1));
  assert.equal(await code(() => network.run(new Float32Array(5), [1, 3, 64, 96])), "model_failed");
  assert.equal(await code(() => maoocr.Model.load(new Uint8Array([8, 7, 1, 255]))), "model_failed");
});
