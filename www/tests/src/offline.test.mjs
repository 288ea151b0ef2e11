// The app as `cargo xtask start` builds it: one module for every processor, where a published one has two.

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";

import { build, loadConfigFromFile } from "vite";

import { launch, open, pick, readText } from "./browser.mjs";
import { sample } from "./samples.mjs";
import { DIST, serve } from "./serve.mjs";

const ROOT = resolve(import.meta.dirname, "../../app");
const folder = mkdtempSync(join(tmpdir(), "maoocr-one-module-"));
let browser;

before(async () => {
  await buildWithOneModule(folder);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function buildWithOneModule(outDir) {
  const { config } = await loadConfigFromFile({ command: "build", mode: "production" }, undefined, ROOT);
  const plain = (name) => config.resolve.alias.find(({ find }) => find.test(name)).replacement;
  const alias = [
    { find: /^maoocr-wasm-relaxed$/, replacement: plain("maoocr-wasm") },
    { find: /^maoocr-wasm-relaxed-module$/, replacement: plain("maoocr-wasm-module") },
    ...config.resolve.alias,
  ];
  // Copying and packing the models takes longer than all the rest: those of the app beside it are the same.
  const plugins = config.plugins.flat().map((plugin) => (plugin.name === "models" ? { ...plugin, writeBundle: undefined } : plugin)); // prettier-ignore
  const options = { ...config.build, outDir, emptyOutDir: true };
  await build({ ...config, configFile: false, root: ROOT, logLevel: "error", resolve: { alias }, plugins, build: options }); // prettier-ignore
  symlinkSync(join(DIST, "models"), join(outDir, "models"));
}

test("a build with one module reads without a network", async () => {
  const modules = readdirSync(join(folder, "assets")).filter((name) => /^maoocr(_relaxed)?_bg-.*\.wasm$/.test(name));
  assert.equal(modules.length, 1, modules.join(" "));
  const server = await serve({ root: folder });
  const { context, page, faults } = await open(browser, server.url);
  await page.getByText("Ready to work offline").waitFor();
  await context.setOffline(true);
  await server.stop();
  await page.reload();
  await pick(page, sample("receipt.jpg"));
  assert.match(await readText(page), /\S/);
  assert.deepEqual(faults, []);
  await context.close();
});
