// What a first visit takes: bytes over the wire until the first text, file by file, and the time of it; then what
// Lighthouse says at its mobile settings. node tests/src/first-visit.mjs

import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { CHROMIUM, launch, open, pick, readText } from "./browser.mjs";
import { sample } from "./samples.mjs";
import { DIST, serve } from "./serve.mjs";

const LIGHTHOUSE = "lighthouse@12.8.2";

const sent = [];
const server = await serve({ compress: true, sent: (path, bytes) => sent.push({ path, bytes }) });
// Compressed before the clock runs.
await visit();
sent.length = 0;
const { ready, text } = await visit();

const rows = sent.map(({ path, bytes }) => {
  const size = statSync(join(DIST, path.endsWith("/") ? `${path}index.html` : path)).size;
  return { file: path, size, wire: bytes };
});
rows.push({
  file: "together",
  size: rows.reduce((sum, { size }) => sum + size, 0),
  wire: rows.reduce((sum, { wire }) => sum + wire, 0),
});
console.table(rows);
console.log(`app open after ${ready} ms, text ${text} ms after the picture was chosen`);

const report = join(mkdtempSync(join(tmpdir(), "maoocr-lighthouse-")), "report.json");
const asked = [server.url, "--output=json", `--output-path=${report}`, "--quiet"];
const flags = "--chrome-flags=--headless=new --no-sandbox --disable-quic";
// Not the blocking kind: the app is served from here.
const env = { ...process.env, CHROME_PATH: CHROMIUM };
await promisify(execFile)("npx", ["--yes", LIGHTHOUSE, ...asked, flags], { env });
const { categories, audits } = JSON.parse(readFileSync(report, "utf8"));
for (const { title, score } of Object.values(categories)) console.log(`${title}: ${Math.round(score * 100)}`);
for (const id of [
  "first-contentful-paint",
  "largest-contentful-paint",
  "total-blocking-time",
  "cumulative-layout-shift",
])
  console.log(`${audits[id].title}: ${audits[id].displayValue}`);
for (const { id, title, score } of Object.values(audits))
  if (score !== null && score < 0.9) console.log(`below 0.9: ${id}: ${title}`);
await server.stop();

/** ms until the app can be used, and from a picture that is chosen to its text. */
async function visit() {
  const browser = await launch();
  const began = performance.now();
  const { page, context } = await open(browser, server.url);
  await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
  const opened = performance.now();
  await pick(page, sample("receipt.jpg"));
  await readText(page);
  const done = performance.now();
  await context.close();
  await browser.close();
  return { ready: Math.round(opened - began), text: Math.round(done - opened) };
}
