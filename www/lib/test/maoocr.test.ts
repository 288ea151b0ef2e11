import { afterEach, describe, expect, test, vi } from "vitest";

import type { MaoOCR } from "../../../pkg/index.d.ts";
import type { Worker as Declared } from "../../../pkg/tesseract.d.ts";
import { Reader, type Options, type Platform } from "../src/maoocr.ts";
import type { Known } from "../src/sources.ts";
import { calls, type TesseractWorker } from "../src/tesseract.ts";
import { DOCUMENT, FakeWorker, reads, type Behaviour } from "./fakes.ts";

/** The package's declarations are written by hand: the compiler compares them with what they declare. */
export const declared: (reader: Reader) => MaoOCR = (reader) => reader;
export const declaredWorker: (worker: TesseractWorker) => Declared = (worker) => worker;

const DET: Known = { name: "det", task: "detection", tier: "tiny", languages: [], dictionary: null };

function reader(behaviour: Behaviour, options: Options = {}, more: Partial<Platform> = {}): Reader {
  return new Reader(options, {
    createWorker: () => new FakeWorker(behaviour) as unknown as Worker,
    workers: 1,
    models: { det: new ArrayBuffer(4) },
    catalogue: [DET],
    collection: () => Promise.reject(new Error("not asked for")),
    read: async () => new ArrayBuffer(1),
    draw: async () => null,
    decode: async () => null,
    ...more,
  });
}

afterEach(() => {
  FakeWorker.made = [];
});

describe("the package's class", () => {
  test("joins the pages of a file and weighs their confidence", async () => {
    const page = (text: string, confidence: number) => ({
      ...{ ...DOCUMENT, text, confidence, processing_time: 1 },
      selected_models: ["det"],
    });
    const pages = [page("abc", 1), page("d", 0.5)];
    const result = await reader((worker, id) => worker.say({ id, value: pages })).recognize(new Blob(["x"]));
    expect(result).toEqual({
      ...{ text: "abc\fd", confidence: 0.875, processing_time: 2, selected_models: ["det"] },
      pages,
    });
  });

  test("passes requirements on, and keeps callbacks and signals to itself", async () => {
    let asked: unknown;
    const remembers: Behaviour = (worker, id, request) => {
      asked = "requirements" in request && request.requirements;
      worker.say({ id, value: [] });
    };
    const call = { language: "en", onLine: () => undefined, signal: new AbortController().signal };
    await reader(remembers).recognize(new Blob(["x"]), call);
    expect(asked).toEqual({ language: "en" });
  });

  test("has the platform decode what the engine doesn't know", async () => {
    const frame = { data: new Uint8Array(4), width: 1, height: 1 };
    const particular: Behaviour = (worker, id, request) => {
      const isFile = "picture" in request && request.picture instanceof ArrayBuffer;
      if (isFile) worker.say({ id, failure: { code: "unknown_format", message: "unknown" } });
      else worker.say({ id, value: [] });
    };
    await expect(reader(particular).recognize(new Blob(["avif"]))).rejects.toMatchObject({ code: "unknown_format" });
    const able = reader(particular, {}, { decode: async () => frame });
    expect((await able.recognize(new Blob(["avif"]))).pages).toEqual([]);
  });

  test("ends for good", async () => {
    const silent = reader(() => undefined);
    const running = silent.recognize(new Blob(["x"]));
    await vi.waitFor(() => expect(FakeWorker.made[0]?.seen).toEqual(["load"]));
    await silent.terminate();
    await expect(running).rejects.toMatchObject({ code: "terminated" });
    await expect(silent.recognize(new Blob(["x"]))).rejects.toMatchObject({ code: "terminated" });
    expect(FakeWorker.made.map(({ terminated }) => terminated)).toEqual([true]);
  });

  test("refuses models that the manifest doesn't have, and what is no picture", async () => {
    const wrong = reader(reads, { models: { rec: new ArrayBuffer(1) } });
    await expect(wrong.recognize(new Blob(["x"]))).rejects.toMatchObject({ code: "unknown_model" });
    for (const input of [null, undefined, 7, {}, { data: [1], width: 1, height: 1 }]) {
      await expect(reader(reads).recognize(input)).rejects.toMatchObject({ code: "invalid_argument" });
    }
  });
});

describe("tesseract.js' calls", () => {
  test("take its names of languages", async () => {
    const asked: unknown[] = [];
    const remembers: Behaviour = (worker, id, request) => {
      asked.push("requirements" in request && request.requirements.language);
      worker.say({ id, value: [] });
    };
    const { createWorker } = calls(() => reader(remembers));
    for (const languages of ["eng", "chi_sim", "eng+chi_sim", ["jpn"]]) {
      await (await createWorker(languages)).recognize(new Blob(["x"]));
    }
    expect(asked).toEqual(["en", "zh-Hans", "auto", "ja"]);
  });
});
