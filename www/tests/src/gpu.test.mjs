// WebGPU, on Chromium's software adapter: the whole way, what is chosen, and what comes of a GPU that is lost.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";

import { drawn } from "./app.mjs";
import { launch, open, pick, readText } from "./browser.mjs";
import { commandText, sample } from "./samples.mjs";
import { DIST, serve } from "./serve.mjs";

const WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
const MODULE = /\/assets\/(gpu-worker|maoocr_gpu_bg)-/;

/** Before the GPU's worker: its devices can be reached, as a driver's fault would. */
const DEVICES = `
  self.devices = [];
  const request = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = async function (...asked) {
    const device = await request.apply(this, asked);
    self.devices.push(device);
    return device;
  };
`;

let browser;
let server;
let sent;

before(async () => {
  browser = await launch(...WEBGPU);
});

after(() => browser.close());

beforeEach(async () => {
  sent = [];
  server = await serve({
    sent: (path) => sent.push(path),
    answer: (request, response) => {
      if (!/\/assets\/gpu-worker-.*\.js$/.test(request.url)) return false;
      sent.push(request.url);
      response.writeHead(200, { "content-type": "text/javascript" });
      response.end(DEVICES + readFileSync(DIST + request.url, "utf8"));
      return true;
    },
  });
});

afterEach(() => server.stop());

async function visit(options, work) {
  const { context, page, faults } = await open(browser, server.url, options);
  // Software takes its time, the first time above all.
  page.setDefaultTimeout(180_000);
  try {
    await work(page);
    assert.deepEqual(faults, []);
  } finally {
    await context.close();
  }
}

const go = (page, hash) => page.evaluate((to) => (location.hash = to), hash);

/** Chooses what to run on, waits for what is told of it, and goes home. */
async function runOn(page, choice, told) {
  await go(page, "#/settings");
  await page.getByText("Advanced", { exact: true }).click();
  await page.getByRole("group", { name: "Processor" }).getByText(choice, { exact: true }).click();
  await page.getByText(told).waitFor();
  await go(page, "#/");
  await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
}

/** What the details of the text that is shown say. */
async function details(page) {
  await page.getByText(/certain · /).click();
  return page.locator("details dl").innerText();
}

const gpuWorker = (page) => page.workers().find((worker) => MODULE.test(worker.url()));

describe("WebGPU", () => {
  test("reads what the CPU and the command read", async () => {
    const expected = commandText(sample("dark.png"));
    await visit({}, async (page) => {
      await pick(page, sample("dark.png"));
      assert.equal(await readText(page), expected);
      assert.match(await details(page), /on this device by the CPU/);

      await runOn(page, "GPU", /SwiftShader.* is compared with the CPU/i);
      await pick(page, sample("dark.png"));
      assert.equal(await readText(page), expected);
      const told = await details(page);
      assert.match(told, /on this device by the GPU/);
      assert.match(told, /SwiftShader.*WebGPU/i);
      assert.equal(await gpuWorker(page).evaluate(() => self.devices.length), 1);

      await go(page, "#/settings");
      await page.getByText("Advanced", { exact: true }).click();
      await page.getByText(/Running on the GPU: .*SwiftShader/i).waitFor();
    });
  });

  test("that is lost while it reads leaves the picture to the CPU, and says so", async () => {
    const expected = commandText(sample("receipt.jpg"));
    await visit({}, async (page) => {
      await runOn(page, "GPU", /SwiftShader.* is compared with the CPU/i);
      await pick(page, sample("dark.png"));
      await readText(page);
      await go(page, "#/");
      await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
      await pick(page, sample("receipt.jpg"));
      await page.waitForTimeout(300);
      await gpuWorker(page).evaluate(() => self.devices[0].destroy());
      await page.getByText("The GPU was lost. Continuing on the CPU.").waitFor();
      assert.equal(await readText(page), expected);
      assert.match(await details(page), /on this device by the CPU/);
      await drawn(page);
      assert.equal(gpuWorker(page), undefined);

      // For the rest of the visit, without a word.
      await go(page, "#/");
      await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
      await pick(page, sample("photo.png"));
      await readText(page);
      assert.match(await details(page), /on this device by the CPU/);
    });
  });

  test("is never chosen for software: not even its module is fetched", async () => {
    await visit({}, async (page) => {
      await page.getByText("Ready to work offline").waitFor();
      await pick(page, sample("photo.png"));
      await readText(page);
      // Longer than it waits to compare a GPU with the CPU.
      await page.waitForTimeout(5000);
      assert.match(await details(page), /on this device by the CPU/);
      await runOn(page, "Automatic", /Running on the CPU: .*SwiftShader.* is software, not a GPU/i);
      assert.equal(gpuWorker(page), undefined);
      assert.deepEqual(
        sent.filter((path) => MODULE.test(path)),
        [],
      );
    });
  });
});

test("without WebGPU a GPU that is asked for is told to be missing, and the CPU reads", async () => {
  const init = () => Object.defineProperty(navigator, "gpu", { value: undefined });
  await visit({ init }, async (page) => {
    await runOn(page, "GPU", "Running on the CPU: this browser offers no GPU");
    await pick(page, sample("photo.png"));
    await page.getByText("This browser offers no GPU. Using the CPU.").waitFor();
    assert.match(await readText(page), /Region-based segmentation/);
  });
});
