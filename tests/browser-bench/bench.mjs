// MaoOCR in a real browser next to its peers: the same pictures in one run, one thread each, in turns.
//
//   npm ci && npm run bench [-- --rounds 3] [--gpu]
//
// Needs `cargo xtask wasm` and `maoocr models pull` (`MAOOCR_MODELS`, where they aren't in the usual place). `--gpu` adds
// WebGPU on whatever adapter the browser has. `VERBOSE=1` shows the texts too.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { cpus, homedir } from "node:os";
import { extname, join, normalize } from "node:path";
import { parseArgs } from "node:util";

import { build } from "esbuild";
import { chromium } from "playwright-core";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "3" }, gpu: { type: "boolean" } } });
const root = join(import.meta.dirname, "../..");
const models = process.env.MAOOCR_MODELS ?? join(homedir(), ".cache/maoocr/models");
const samples = join(root, "tests/samples");

/** Upright pictures, for tesseract.js doesn't look which way is up, and the language it is told. */
const PICTURES = {
  "photo.png": "eng",
  "receipt.jpg": "eng",
  "dark.png": "eng",
  "columns.png": "eng",
  "transparent.png": "eng",
  "chinese.jpg": "chi_sim",
};
const READERS = [
  "maoocr tiny",
  "maoocr small",
  "maoocr tiny, plain SIMD",
  "maoocr small, plain SIMD",
  "tesseract.js",
  "ppu-paddle-ocr tiny",
  "ppu-paddle-ocr small",
];
if (values.gpu) READERS.push("maoocr tiny, WebGPU");

const bundled = async (entry, alias) => {
  const options = { bundle: true, format: "esm", write: false, logLevel: "error", target: "es2022" };
  const { outputFiles } = await build({ ...options, entryPoints: [join(import.meta.dirname, entry)], alias });
  return outputFiles[0].contents;
};
const MADE = {
  "/": "<!doctype html><meta charset=utf-8><script type=module src=/readers.js></script>",
  // For all who import it: the build that has nothing but WebAssembly.
  "/readers.js": await bundled("readers.js", { "onnxruntime-web": "onnxruntime-web/wasm" }),
  "/worker.js": await worker("web/maoocr"),
  "/relaxed-worker.js": await worker("web-relaxed/maoocr_relaxed"),
  "/gpu-worker.js": values.gpu ? await worker("web-gpu/maoocr_gpu") : "",
};

/** The module's own file is fetched from where it lies. */
async function worker(module) {
  const code = Buffer.from(await bundled("worker.js", { "maoocr-wasm": join(root, `pkg/${module}.js`) })).toString();
  return code.replaceAll("import.meta.url", `new URL("/pkg/${module}.js", self.location)`);
}

const FOLDERS = { npm: join(import.meta.dirname, "node_modules"), pkg: join(root, "pkg"), models, samples };
const TYPES = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", "": "text/html" };
/** WebAssembly that the readers took. */
const modules = new Set();
const server = createServer((request, response) => {
  const path = normalize(new URL(request.url, "http://localhost").pathname);
  const [, folder, ...rest] = path.split("/");
  try {
    const body = MADE[path] ?? readFileSync(join(FOLDERS[folder], ...rest));
    if (path.includes(".wasm")) modules.add(path);
    response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream" }).end(body);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));

/** Without white space, one form of signs that come in two widths. */
const plain = (text) =>
  [...text.normalize("NFKC").replace(/\s/gu, "")].map((c) => ({ "’": "'", "‘": "'", "“": '"', "”": '"' })[c] ?? c);

/** Edits that turn the passage into the most similar part of the text. */
function edits(passage, text) {
  let row = new Uint32Array(text.length + 1);
  for (const [i, wanted] of passage.entries()) {
    const next = new Uint32Array(text.length + 1);
    next[0] = i + 1;
    for (let j = 1; j <= text.length; j++) {
      next[j] = Math.min(row[j - 1] + (wanted === text[j - 1] ? 0 : 1), row[j] + 1, next[j - 1] + 1);
    }
    row = next;
  }
  return Math.min(...row);
}

const golden = readFileSync(join(samples, "golden.jsonl"), "utf8").trim().split("\n").map(JSON.parse);
/** Share of the characters that a person reads there which are missing or wrong. */
function errorRate(file, text) {
  const { passages } = golden.find((entry) => entry.file === file);
  const read = plain(text);
  const wanted = passages.map(plain);
  const wrong = wanted.reduce((sum, passage) => sum + edits(passage, read), 0);
  return { wrong, of: wanted.reduce((sum, passage) => sum + passage.length, 0) };
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", ...(values.gpu ? ["--enable-unsafe-webgpu"] : [])],
});
const page = await browser.newPage();
page.setDefaultTimeout(0);
page.on("pageerror", (error) => console.error(error));
await page.goto(`http://127.0.0.1:${server.address().port}/`);
await page.waitForFunction(() => "read" in window);

const results = Object.fromEntries(READERS.map((name) => [name, {}]));
// The first round makes ready and doesn't count.
for (let round = 0; round <= Number(values.rounds); round++) {
  for (const [file, language] of Object.entries(PICTURES)) {
    for (const name of READERS) {
      const asked = [name, `/samples/${file}`, language];
      const { text, ms } = await page.evaluate((call) => window.read(...call), asked);
      const result = (results[name][file] ??= { text, times: [] });
      if (round > 0) result.times.push(ms);
      if (process.env.VERBOSE && round === 0) console.log(`== ${name}, ${file}\n${text}`);
    }
  }
}
console.log(`modules: ${[...modules].join(", ")}`);
console.log(
  `${cpus().length} × ${cpus()[0].model}, Chromium ${browser.version()}, best of ${values.rounds}, ms (errors)\n`,
);
await browser.close();
server.close();

const files = Object.keys(PICTURES);
const table = [["", ...files, "together"]];
for (const [name, result] of Object.entries(results)) {
  const best = files.map((file) => Math.min(...result[file].times));
  const rates = files.map((file) => errorRate(file, result[file].text));
  const cell = (ms, { wrong, of }) => `${ms.toFixed(0)} (${((100 * wrong) / of).toFixed(1)} %)`;
  const sum = (numbers) => numbers.reduce((a, b) => a + b);
  const all = { wrong: sum(rates.map(({ wrong }) => wrong)), of: sum(rates.map(({ of }) => of)) };
  table.push([name, ...files.map((_, i) => cell(best[i], rates[i])), cell(sum(best), all)]);
}
table.splice(
  1,
  0,
  table[0].map(() => "---"),
);
for (const row of table) console.log(`| ${row.join(" | ")} |`);
