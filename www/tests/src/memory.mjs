// Memory while many pictures are read, on Linux: 50 photos of 12 megapixels one after another, then a PDF of 100 scanned
// pages. node tests/src/memory.mjs [photos|pdf]
// What the page's process takes is told as it is when nothing happens, and at its most since the last line, looked at four
// times a second.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { launch, launchProfile, openIn, pick } from "./browser.mjs";
import { memoryByKind, pageMemory } from "./processes.mjs";
import { pdfOf, sample, shotsOf } from "./samples.mjs";
import { serve } from "./serve.mjs";

const ONLY = process.argv[2];
const server = await serve();
if (ONLY !== "pdf") await inApp(photos);
if (ONLY !== "photos") await inApp(pdf);
await server.stop();

async function inApp(work) {
  const helper = await launch();
  const files = await (work === photos ? shots(helper) : scan(helper));
  await helper.close();
  const profile = mkdtempSync(join(tmpdir(), "maoocr-profile-"));
  const context = await launchProfile(profile, "--enable-precise-memory-info");
  const { page, faults } = await openIn(context, server.url);
  page.setDefaultTimeout(900_000);
  await page.getByText("Ready to work offline").waitFor();
  const devtools = await context.newCDPSession(page);
  let most = 0;
  const watch = setInterval(() => (most = Math.max(most, pageMemory(profile))), 250);
  const measure = async (what) => {
    await devtools.send("HeapProfiler.collectGarbage");
    await page.waitForTimeout(1500);
    const heap = await page.evaluate(() => performance.memory.usedJSHeapSize);
    const others = [...memoryByKind(profile)].filter(([kind]) => kind !== "renderer");
    const parts = others.map(([kind, bytes]) => `${kind} ${mb(bytes)}`);
    const own = `page ${mb(pageMemory(profile))}, at most ${mb(most)}, of it heap ${mb(heap)}`;
    console.log(`${what.padEnd(14)} ${[own, ...parts].join(", ")}`);
    most = 0;
  };
  await measure("nothing read");
  await work(page, files, measure);
  clearInterval(watch);
  if (faults.length > 0) console.error(faults);
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}

function mb(bytes) {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}

function shots(browser) {
  return shotsOf(browser, sample("receipt.jpg"), 50, 3000, 4000);
}

/** A4 at 200 dots an inch. */
async function scan(browser) {
  return pdfOf(...(await shotsOf(browser, sample("columns.png"), 100, 1654, 2339)));
}

async function photos(page, files, measure) {
  for (const [i, file] of files.entries()) {
    await page.evaluate(() => (location.hash = "#/"));
    await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
    await pick(page, file);
    await page.locator(".flow textarea").waitFor();
    if (i === 4 || i % 10 === 9) await measure(`photo ${i + 1}`);
  }
}

async function pdf(page, file, measure) {
  await pick(page, file);
  for (const n of [5, 25, 50, 75, 100]) {
    await page.getByText(`${n} of 100 pictures`).waitFor();
    await measure(`page ${n}`);
  }
}
