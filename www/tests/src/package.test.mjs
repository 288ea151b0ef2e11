// The npm package as its users get it: packed, installed into fresh projects, read with in Node.js and, from what
// bundlers make of it, in a browser; its types, as a strict compiler sees them.

import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { constants, copyFileSync, cpSync, createReadStream, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"; // prettier-ignore
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, extname, join, relative, resolve } from "node:path";
import { after, before, test } from "node:test";

import { launch, open } from "./browser.mjs";
import { freePort } from "./ports.mjs";
import { commandText, sample } from "./samples.mjs";

const require = createRequire(import.meta.url);
const PACKAGE = resolve(import.meta.dirname, "../../../pkg");
/** What a person waits for at most, ms. */
const PATIENCE = 180_000;

/** The models of the package are the compact ones: the command reads with the same. */
const text = (picture) => commandText(sample(picture), join(PACKAGE, "models"));

const scratch = mkdtempSync(join(tmpdir(), "maoocr-package-"));
let archive = "";

before(() => {
  const packed = execFileSync("npm", ["pack", "--json", "--pack-destination", scratch], {
    cwd: PACKAGE,
    encoding: "utf8",
  });
  archive = join(scratch, Object.values(JSON.parse(packed))[0].filename);
});
after(() => rmSync(scratch, { recursive: true, force: true }));

/** A fresh project with the package in it. */
function project(name, files) {
  const folder = join(scratch, name);
  mkdirSync(folder);
  for (const [file, content] of Object.entries({ "package.json": '{"type": "module", "private": true}', ...files })) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), content);
  }
  execFileSync("npm", ["install", "--offline", "--no-audit", "--no-fund", archive], { cwd: folder, stdio: "pipe" });
  return folder;
}

/** Runs a program of a project; what it printed. */
function run(folder, program, ...options) {
  const { status, stdout, stderr } = spawnSync(program, options, { cwd: folder, encoding: "utf8", timeout: PATIENCE });
  return { status, stdout, stderr };
}

/** What a program does with the package; it prints the text. */
const READS = `
  import assert from "node:assert/strict";
  import { readFileSync } from "node:fs";
  import { createServer } from "node:http";
  import { pathToFileURL } from "node:url";
  import { MaoOCR, OcrError } from "maoocr";

  const [path] = process.argv.slice(2);
  const bytes = readFileSync(path);
  const server = createServer((_, response) => response.end(bytes)).listen(0, "127.0.0.1");
  await new Promise((ready) => server.once("listening", ready));
  const { port } = server.address();

  const ocr = new MaoOCR({ workers: 2 });
  const lines = [];
  const { text, pages, confidence } = await ocr.recognize(path, { onLine: (line) => lines.push(line.text) });
  assert.equal(pages.length, 1);
  assert.ok(confidence > 0.8 && confidence <= 1, String(confidence));
  for (const line of pages[0].lines) assert.ok(lines.includes(line.text), line.text);

  const inputs = [bytes, new Uint8Array(bytes).buffer, new Blob([bytes]), pathToFileURL(path), "http://127.0.0.1:" + port];
  const texts = await Promise.all(inputs.map(async (input) => (await ocr.recognize(input)).text));
  assert.deepEqual(texts, inputs.map(() => text));
  const white = { data: new Uint8Array(64 * 64 * 4).fill(255), width: 64, height: 64 };
  assert.equal((await ocr.recognize(white)).text, "");

  const code = (work) => work.then(() => null, (error) => (assert.ok(error instanceof OcrError, error), error.code));
  assert.equal(await code(ocr.recognize("nowhere.png")), "unreadable");
  assert.equal(await code(ocr.recognize(new Uint8Array())), "empty");
  assert.equal(await code(ocr.recognize(7)), "invalid_argument");
  assert.equal(await code(ocr.recognize({})), "invalid_argument");
  assert.equal(await code(ocr.recognize(path, { langauge: "en" })), "invalid_requirements");
  assert.equal(await code(ocr.recognize(path, { signal: AbortSignal.abort() })), "cancelled");
  const stop = new AbortController();
  assert.equal(await code(ocr.recognize(path, { signal: stop.signal, onLine: () => stop.abort() })), "cancelled");
  assert.equal(await code(ocr.recognize("http://")), "invalid_argument");
  const mine = new Error("mine");
  await assert.rejects(ocr.recognize(path, { onLine: () => { throw mine; } }), mine);
  assert.equal(await code(new MaoOCR({ models: { "no-such-rec": bytes } }).recognize(path)), "unknown_model");
  assert.equal(await code(new MaoOCR({ models: "." }).recognize(path)), "models_unavailable");
  assert.throws(() => new MaoOCR({ workers: 0 }), { code: "invalid_argument" });

  const other = new MaoOCR();
  await other.warm();
  await other.terminate();
  assert.equal(await code(other.recognize(path)), "terminated");
  server.close();
  process.stdout.write(text);
  // Nothing is terminated here: an engine doesn't keep the program from its end.
`;

/** Programs that run JavaScript, from `runtimes/`. */
const runtime = (name) => {
  const found = resolve(import.meta.dirname, "../runtimes/node_modules/.bin", name);
  return existsSync(found) ? found : null;
};
const RUNTIMES = {
  "Node.js": [process.execPath],
  Deno: [runtime("deno"), "run", "--no-prompt", "--allow-read", "--allow-net", "--allow-env", "--allow-sys"],
  Bun: [runtime("bun")],
};

for (const [name, [program, ...options]] of Object.entries(RUNTIMES)) {
  const skip = program ? false : `npm ci in www/tests/runtimes gets ${name}`;
  test(`${name} reads files, addresses, bytes and pixels, tells of lines, stops, and ends by itself`, { skip }, () => {
    const folder = project(name.toLowerCase(), { "read.mjs": READS });
    const { status, stdout, stderr } = run(folder, program, ...options, "read.mjs", sample("receipt.jpg"));
    assert.equal(status, 0, stderr);
    assert.equal(stdout, text("receipt.jpg"));
  });
}

test("npx maoocr prints the text, and says what is wrong", () => {
  const folder = project("command", {});
  const npx = (...options) => run(folder, "npx", "--no-install", "maoocr", ...options);
  assert.equal(npx(sample("chinese.jpg")).stdout, `${text("chinese.jpg")}\n`);
  const { status, stdout, stderr } = npx("--json", sample("broken/text.png"), sample("photo.png"));
  assert.equal(status, 1);
  assert.match(stderr, /^maoocr: .*text\.png: .*\(unknown_format\)\n$/);
  assert.equal(JSON.parse(stdout).text, text("photo.png"));
  assert.equal(npx("--no-such-option").status, 2);
});

test("who calls tesseract.js changes one import", () => {
  const folder = project("tesseract", {
    "read.mjs": `
      import assert from "node:assert/strict";
      import { createScheduler, createWorker, recognize } from "maoocr/tesseract";

      const [path] = process.argv.slice(2);
      const heard = [];
      const worker = await createWorker("eng", 1, { logger: (message) => heard.push(message) });
      const { data } = await worker.recognize(path, {}, { blocks: true });
      const lines = data.blocks.flatMap(({ paragraphs }) => paragraphs.flatMap((paragraph) => paragraph.lines));
      assert.ok(lines.length > 5 && lines.every(({ words, text }) => words.length > 0 && text.endsWith("\\n")));
      for (const { bbox } of lines) assert.ok(bbox.x1 > bbox.x0 && bbox.y1 > bbox.y0);
      assert.ok(data.confidence > 80 && data.confidence <= 100);
      assert.deepEqual(heard.at(-1), { workerId: worker.id, jobId: heard[0].jobId, status: "recognizing text", progress: 1 });
      await assert.rejects(createWorker("klingon"), { code: "invalid_argument" });
      await assert.rejects(worker.setParameters({ tessedit_char_whitelist: "0123" }), { code: "unsupported" });
      await assert.rejects(worker.recognize(path, { rectangle: {} }), { code: "unsupported" });
      await worker.reinitialize("eng+chi_sim");

      const scheduler = createScheduler();
      scheduler.addWorker(worker);
      const all = await Promise.all([path, path].map((picture) => scheduler.addJob("recognize", picture)));
      assert.deepEqual(all.map((job) => job.data.text), [data.text, data.text]);
      await scheduler.terminate();
      assert.equal((await recognize(path, "eng")).data.text, data.text);
      process.stdout.write(data.text);
    `,
  });
  const { status, stdout, stderr } = run(folder, process.execPath, "read.mjs", sample("receipt.jpg"));
  assert.equal(status, 0, stderr);
  assert.equal(stdout, `${text("receipt.jpg")}\n`);
});

test("a strict compiler takes the types, with and without the browser's", () => {
  const main = `
    import { MaoOCR, OcrError, type Document, type Result } from "maoocr";
    import Tesseract, { createWorker } from "maoocr/tesseract";

    export async function read(bytes: Uint8Array, signal: AbortSignal): Promise<Document[]> {
      const ocr = new MaoOCR({ workers: 1, models: { "ppocrv6-tiny-det": new URL("https://example.org/det.onnx") } });
      const result: Result = await ocr.recognize(bytes, { language: "en", signal, onLine: ({ text }) => text.length });
      // @ts-expect-error it's no number
      await ocr.recognize(7);
      // @ts-expect-error there is no such requirement
      await ocr.recognize(bytes, { langauge: "en" });
      const { data } = await (await createWorker("eng")).recognize(bytes);
      await Tesseract.recognize(data.text, "eng", { logger: ({ progress }) => progress.toFixed() });
      return result.pages;
    }
    export const codeOf = (thrown: unknown): string | null => (thrown instanceof OcrError ? thrown.code : null);
  `;
  const page = `
    import { MaoOCR } from "maoocr";
    export const text = (canvas: HTMLCanvasElement, video: HTMLVideoElement, bitmap: ImageBitmap, frame: VideoFrame) =>
      [canvas, video, bitmap, frame, new ImageData(1, 1)].map((input) => new MaoOCR().recognize(input));
  `;
  const folder = project("types", { "main.ts": main, "page.ts": page });
  cpSync(require.resolve("@types/node/package.json").replace("/package.json", ""), join(folder, "node_modules/@types/node"), { recursive: true }); // prettier-ignore
  cpSync(require.resolve("undici-types/package.json").replace("/package.json", ""), join(folder, "node_modules/undici-types"), { recursive: true }); // prettier-ignore
  const tsc = require.resolve("typescript/bin/tsc");
  const strict = ["--strict", "--exactOptionalPropertyTypes", "--noEmit", "--target", "ES2022"];
  for (const options of [
    ["--module", "nodenext", "--lib", "ES2022", "--types", "node", "main.ts"],
    ["--module", "esnext", "--moduleResolution", "bundler", "--lib", "ES2022,DOM", "main.ts", "page.ts"],
  ]) {
    const { status, stdout } = run(folder, process.execPath, tsc, ...strict, ...options);
    assert.equal(status, 0, `${options.join(" ")}\n${stdout}`);
  }
});

test("publint and attw find nothing", () => {
  const bin = (name) => resolve(import.meta.dirname, "../../node_modules/.bin", name);
  for (const [name, ...options] of [
    ["publint", "--strict", "--pack", "false", PACKAGE],
    // `require` loads modules from Node.js 20.19 on.
    ["attw", "--profile", "esm-only", archive],
  ]) {
    const { status, stdout, stderr } = run(scratch, bin(name), ...options);
    assert.equal(status, 0, `${stdout}${stderr}`);
  }
});

const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

/** A folder over HTTP. */
async function serveFolder(folder) {
  const server = createServer((request, response) => {
    const path = join(folder, new URL(request.url, "http://localhost").pathname.replace(/\/$/, "/index.html"));
    if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return void response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream" });
    createReadStream(path).pipe(response);
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    stop: () => (server.closeAllConnections(), server.close()),
  };
}

const PAGE = {
  "index.html": `<!doctype html><title>Project</title><img src="./receipt.jpg" /><script type="module" src="./main.js"></script>`,
  "main.js": `
    import { MaoOCR } from "maoocr";

    const ocr = new MaoOCR();
    globalThis.inputs = {
      address: () => "./receipt.jpg",
      blob: async () => (await fetch("./receipt.jpg")).blob(),
      image: () => document.querySelector("img"),
      canvas: async () => {
        const bitmap = await createImageBitmap(await inputs.blob());
        const canvas = document.createElement("canvas");
        Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
        canvas.getContext("2d").drawImage(bitmap, 0, 0);
        return canvas;
      },
      webp: async () => new Promise((done) => inputs.canvas().then((canvas) => canvas.toBlob(done, "image/webp", 1))),
    };
    globalThis.read = async (name) => (await ocr.recognize(await inputs[name]())).text;
  `,
};

/** Opens a bundle in Chromium and reads with it. */
async function readsIn(url, ...inputs) {
  const browser = await launch();
  try {
    const { page, faults } = await open(browser, url);
    await page.waitForFunction(() => "read" in globalThis);
    const texts = [];
    for (const input of inputs) texts.push(await page.evaluate((name) => globalThis.read(name), input));
    assert.deepEqual(faults, []);
    return texts;
  } finally {
    await browser.close();
  }
}

test("Vite bundles it, and serves it while developing, without configuration", async () => {
  const folder = project("vite", PAGE);
  const { build, createServer: develop } = await import("vite");
  mkdirSync(join(folder, "public"));
  copyFileSync(sample("receipt.jpg"), join(folder, "public/receipt.jpg"));
  await build({ root: folder, base: "./", logLevel: "error" });
  const server = await serveFolder(join(folder, "dist"));
  try {
    const [address, blob, image, canvas] = await readsIn(server.url, "address", "blob", "image", "canvas", "webp");
    const expected = text("receipt.jpg");
    assert.deepEqual([address, blob], [expected, expected]);
    // A JPEG's pixels differ a little from one decoder to another.
    for (const drawn of [image, canvas]) assert.match(drawn, /CORNER BAKERY/);
  } finally {
    server.stop();
  }
  const developing = await develop({ root: folder, logLevel: "error", server: { port: 0 } });
  try {
    await developing.listen();
    const { port } = developing.httpServer.address();
    assert.deepEqual(await readsIn(`http://localhost:${port}/`, "address"), [text("receipt.jpg")]);
  } finally {
    await developing.close();
  }
});

test("webpack bundles it without configuration", async () => {
  const folder = project("webpack", PAGE);
  const { default: webpack } = await import("webpack");
  const stats = await new Promise((done, failed) =>
    webpack(
      { context: folder, entry: "./main.js", mode: "production", output: { path: join(folder, "dist") } },
      (error, made) => (error ? failed(error) : done(made)),
    ),
  );
  assert.deepEqual(stats.toJson({ errors: true }).errors, []);
  copyFileSync(sample("receipt.jpg"), join(folder, "dist/receipt.jpg"));
  writeFileSync(join(folder, "dist/index.html"), PAGE["index.html"]);
  assert.ok(readdirSync(join(folder, "dist")).some((name) => name.endsWith(".wasm")));
  assert.match(readFileSync(join(folder, "dist/main.js"), "utf8"), /Worker/);
  const server = await serveFolder(join(folder, "dist"));
  try {
    assert.deepEqual(await readsIn(server.url, "address"), [text("receipt.jpg")]);
  } finally {
    server.stop();
  }
});

const NEXT = {
  "app/layout.js": `
    export default function Layout({ children }) {
      return <html lang="en"><body>{children}</body></html>;
    }
  `,
  "app/page.js": `
    "use client";
    import { MaoOCR } from "maoocr";
    import { useEffect } from "react";

    export default function Page() {
      useEffect(() => {
        const ocr = new MaoOCR();
        globalThis.read = async (name) =>
          (await ocr.recognize(name === "image" ? document.querySelector("img") : "/receipt.jpg")).text;
        return () => void ocr.terminate();
      }, []);
      return <img src="/receipt.jpg" />;
    }
  `,
  // On the server.
  "app/read/route.js": `
    import { MaoOCR } from "maoocr";

    const ocr = new MaoOCR({ workers: 1 });

    export const POST = async (request) => new Response((await ocr.recognize(await request.blob())).text);
  `,
};

const frameworks = resolve(import.meta.dirname, "../runtimes/node_modules");
const withoutNext = existsSync(join(frameworks, "next")) ? false : "npm ci in www/tests/runtimes gets Next.js";
test("Next.js builds it without configuration, for its pages and for its server", { skip: withoutNext }, async () => {
  const folder = project("next", NEXT);
  // Copies: its bundler follows no link out of the project.
  cpSync(frameworks, join(folder, "node_modules"), {
    ...{ recursive: true, mode: constants.COPYFILE_FICLONE },
    filter: (path) => !/^(@?deno|bun|@oven|\.bin|\.package-lock\.json)$/.test(relative(frameworks, path)),
  });
  mkdirSync(join(folder, "public"));
  copyFileSync(sample("receipt.jpg"), join(folder, "public/receipt.jpg"));
  const next = join(folder, "node_modules/next/dist/bin/next");
  const env = { ...process.env, NEXT_TELEMETRY_DISABLED: "1" };
  const built = spawnSync(process.execPath, [next, "build"], { cwd: folder, encoding: "utf8", env });
  assert.equal(built.status, 0, `${built.stdout}${built.stderr}`);
  const port = await freePort();
  const server = spawn(process.execPath, [next, "start", "-p", `${port}`, "-H", "127.0.0.1"], { cwd: folder, env, stdio: "pipe" }); // prettier-ignore
  try {
    await new Promise((ready, failed) => {
      server.stdout.on("data", (said) => /Ready in/.test(said) && ready());
      server.once("exit", (status) => failed(new Error(`next start: ${status}`)));
    });
    const expected = text("receipt.jpg");
    const [address, image] = await readsIn(`http://127.0.0.1:${port}/`, "address", "image");
    assert.equal(address, expected);
    assert.match(image, /CORNER BAKERY/);
    const body = readFileSync(sample("receipt.jpg"));
    const answer = await fetch(`http://127.0.0.1:${port}/read`, { method: "POST", body });
    assert.equal(await answer.text(), expected);
  } finally {
    server.kill();
  }
});
