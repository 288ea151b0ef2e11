import { describe, expect, test } from "vitest";

import { offered } from "../src/offer.ts";
import type { StoredModel } from "../src/models.ts";
import { route, type Conditions } from "../src/route.ts";
import type { Requirements } from "../src/types.ts";

const GOOD: Conditions = {
  online: true,
  server: "up",
  saveData: false,
  network: "4g",
  battery: null,
  cores: 8,
  memory: 8,
  readable: true,
};

describe("route", () => {
  const cases: [string, Partial<Conditions>, Requirements, string, string][] = [
    ["nothing speaks for a server", {}, {}, "device", "private"],
    ["offline", { online: false, battery: 0.05 }, {}, "device", "offline"],
    ["no server", { server: "none", readable: false }, {}, "device", "no_server"],
    ["a server that is down", { server: "down" }, {}, "device", "server_down"],
    ["a server that wants another key", { server: "locked", battery: 0.1 }, {}, "device", "server_key"],
    ["a language without a model here", { readable: false, saveData: true }, {}, "server", "language_needs_server"],
    ["real time", { battery: 0.1 }, { real_time: true }, "device", "real_time"],
    ["data saver", { saveData: true, battery: 0.1 }, {}, "device", "data_saver"],
    ["a slow network", { network: "slow-2g", battery: 0.1 }, {}, "device", "slow_network"],
    ["a low battery", { battery: 0.19 }, {}, "server", "low_battery"],
    ["enough battery", { battery: 0.2 }, {}, "device", "private"],
    ["few cores", { cores: 2 }, {}, "server", "weak_device"],
    ["little memory", { memory: 1 }, {}, "server", "weak_device"],
    ["high accuracy", {}, { accuracy_requirement: "high" }, "server", "accuracy_needs_server"],
  ];

  test.each(cases)("%s", (_, conditions, requirements, place, reason) => {
    expect(route("auto", requirements, { ...GOOD, ...conditions })).toEqual({ place, reason });
  });

  test("what the person chose is done, whatever the conditions", () => {
    const bad: Conditions = { ...GOOD, readable: false, battery: 0.01, cores: 1 };
    expect(route("device", {}, bad)).toEqual({ place: "device", reason: "chosen" });
    expect(route("server", {}, { ...GOOD, online: false })).toEqual({ place: "server", reason: "chosen" });
  });
});

describe("offered", () => {
  const model = (name: string, task: string, more: Partial<StoredModel> = {}): StoredModel => ({
    name,
    file: `${name}.onnx`,
    task,
    tier: null,
    bytes: 1,
    sha256: name,
    languages: [],
    dictionary: null,
    stored: false,
    ...more,
  });
  const models = (small = false, turned = false) => [
    model("tiny-det", "detection", { tier: "tiny" }),
    model("tiny-rec", "recognition", { tier: "tiny" }),
    model("small-det", "detection", { tier: "small", stored: small }),
    model("small-rec", "recognition", { tier: "small", stored: small }),
    model("ppocrv5-th-rec", "recognition", { tier: "small" }),
    model("page", "page-orientation", { stored: turned }),
    model("dict", "dictionary"),
  ];
  const plenty = { saveData: false, memory: 8 };
  const ALWAYS = ["tiny-det", "tiny-rec", "ppocrv5-th-rec", "dict"];
  const sorted = (names: string[]) => [...names].sort();

  test("the first picture needs tiny models only", () => {
    expect(sorted(offered(models(), {}, plenty))).toEqual(sorted(ALWAYS));
  });

  test("larger ones are used once they are here", () => {
    expect(sorted(offered(models(true, true), {}, plenty))).toEqual(
      sorted([...ALWAYS, "small-det", "small-rec", "page"]),
    );
  });

  test("high accuracy is worth fetching them, unless data are saved or a camera waits", () => {
    const high: Requirements = { accuracy_requirement: "high" };
    expect(offered(models(), high, plenty)).toContain("small-rec");
    expect(offered(models(), high, plenty)).toContain("page");
    expect(offered(models(), high, { ...plenty, saveData: true })).not.toContain("small-rec");
    expect(offered(models(), { ...high, real_time: true }, plenty)).not.toContain("small-rec");
  });

  test("little memory: tiny ones, whatever is here", () => {
    const weak = { saveData: false, memory: 1 };
    expect(offered(models(true), { accuracy_requirement: "high" }, weak)).not.toContain("small-rec");
  });

  test("characters that tiny lacks need the small recogniser everywhere", () => {
    for (const language of ["ja", "zh-Hant", "japanese"]) {
      const names = offered(models(), { language }, { saveData: true, memory: 1 });
      expect(names).toContain("small-rec");
      expect(names).not.toContain("small-det");
    }
  });

  test("columns and forms need to know which way is up", () => {
    expect(offered(models(), { document_type: "complex_layout" }, plenty)).toContain("page");
  });
});
