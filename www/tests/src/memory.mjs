// Memory while many pictures are read, on Linux: 50 photos of 12 megapixels one after another, then a PDF of 100 scanned
// pages. node tests/src/memory.mjs [photos|pdf]

import { readFileSync } from "node:fs";

import { launch, open, pick } from "./browser.mjs";
import { pdfOf, sample, shotsOf } from "./samples.mjs";
import { serve } from "./serve.mjs";

const ONLY = process.argv[2];
/** As the browser names its processes. */
const KINDS = ["renderer", "GPU", "browser"];

const server = await serve();
if (ONLY !== "pdf") await inApp(photos);
if (ONLY !== "photos") await inApp(pdf);
await server.stop();

async function inApp(work) {
  const helper = await launch();
  const files = await (work === photos ? shots(helper) : scan(helper));
  await helper.close();
  const browser = await launch("--enable-precise-memory-info");
  const { page, context, faults } = await open(browser, server.url);
  page.setDefaultTimeout(600_000);
  await page.getByText("Ready to work offline").waitFor();
  const devtools = await browser.newBrowserCDPSession();
  const inPage = await context.newCDPSession(page);
  const measure = async (what) => {
    await inPage.send("HeapProfiler.collectGarbage");
    await page.waitForTimeout(1500);
    console.log(`${what.padEnd(24)} ${await figures(devtools, page)}`);
  };
  await measure("nothing read");
  await work(page, files, measure);
  if (faults.length > 0) console.error(faults);
  await browser.close();
}

/** MB by kind of process: memory of its own, what it shares in equal parts (PSS), and the page's heap. */
async function figures(devtools, page) {
  const { processInfo } = await devtools.send("SystemInfo.getProcessInfo");
  const sums = new Map();
  for (const { type, id } of processInfo) {
    const kind = KINDS.includes(type) ? type : "others";
    sums.set(kind, (sums.get(kind) ?? 0) + pss(id));
  }
  const heap = await page.evaluate(() => performance.memory.usedJSHeapSize);
  const parts = [...sums].map(([kind, bytes]) => `${kind} ${mb(bytes)}`);
  return `${parts.join(", ")}, heap ${mb(heap)}`;
}

function pss(pid) {
  try {
    return 1024 * Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))[1]);
  } catch {
    // It ended meanwhile.
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
