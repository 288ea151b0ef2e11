// Memory while many pictures are read, on Linux: 50 photos of 12 megapixels one after another, then a PDF of 100 scanned
// pages. node tests/src/memory.mjs [photos|pdf]

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { launch, launchProfile, openIn, pick } from "./browser.mjs";
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
  const measure = async (what) => {
    await devtools.send("HeapProfiler.collectGarbage");
    await page.waitForTimeout(1500);
    const heap = await page.evaluate(() => performance.memory.usedJSHeapSize);
    const parts = [...byKind(profile)].map(([kind, bytes]) => `${kind} ${mb(bytes)}`);
    console.log(`${what.padEnd(16)} ${parts.join(", ")}, heap ${mb(heap)}`);
  };
  await measure("nothing read");
  await work(page, files, measure);
  if (faults.length > 0) console.error(faults);
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}

/** Memory of the browser's processes by their kind: what is their own, and of what is shared an equal part (PSS). */
function byKind(profile) {
  const processes = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap(described);
  const family = new Set();
  const [root] = processes.filter(({ command }) => command.includes(profile) && !command.includes("--type="));
  if (root) family.add(root.pid);
  // Children come after their parents, but numbers begin anew now and then.
  for (let grown = true; grown;) {
    const more = processes.filter(({ pid, parent }) => family.has(parent) && !family.has(pid));
    more.forEach(({ pid }) => family.add(pid));
    grown = more.length > 0;
  }
  const sums = new Map();
  for (const { pid, command } of processes) {
    if (!family.has(pid)) continue;
    const kind = /--type=(renderer|gpu-process)/.exec(command)?.[1] ?? (pid === root.pid ? "browser" : "others");
    sums.set(kind, (sums.get(kind) ?? 0) + pss(pid));
  }
  return sums;
}

/** None for one that ended meanwhile. */
function described(pid) {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
    const parent = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);
    return [{ pid: Number(pid), parent, command }];
  } catch {
    return [];
  }
}

function pss(pid) {
  try {
    return 1024 * Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))[1]);
  } catch {
    return 0;
  }
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
    await page.getByRole("tab", { name: "Text" }).waitFor();
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
