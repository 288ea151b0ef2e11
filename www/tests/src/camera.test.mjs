// The camera's way, with a video in place of a camera: a picture that moves.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { launch, open, readText } from "./browser.mjs";
import { sample } from "./samples.mjs";
import { DIST, serve } from "./serve.mjs";
import { movingPicture, SWAY } from "./video.mjs";

let browser;
let server;

before(async () => {
  server = await serve();
  const plain = await launch();
  const video = await movingPicture(plain, sample("receipt.jpg"));
  await plain.close();
  browser = await launch(
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    `--use-file-for-fake-video-capture=${video}`,
  );
});

after(async () => {
  await browser.close();
  await server.stop();
});

const context = { permissions: ["camera", "clipboard-read", "clipboard-write"] };

test("live mode shows the right words and keeps them in place while the picture moves", async () => {
  const opened = await open(browser, server.url, { context, start: "#/camera" });
  const { page, faults } = opened;
  const bakery = page.getByRole("button", { name: "CORNER BAKERY" });
  await bakery.waitFor();
  await page.getByRole("button", { name: "Receipt 004217" }).waitFor();

  // The same element all along, and it goes the way the picture goes: as far, and at the same time.
  const { kept, boxes } = await page.evaluate(async (sway) => {
    const button = [...document.querySelectorAll(".tracks button")].find((b) => b.textContent.includes("BAKERY"));
    const positions = [];
    const scale = new DOMMatrix(getComputedStyle(button.closest(".scene")).transform).a;
    // Once there and back at least; a slow machine may miss where the picture turns.
    const range = (axis) => {
      const values = positions.map((at) => at[axis]);
      return Math.max(...values) - Math.min(...values);
    };
    const began = performance.now();
    const wholly = () => range(0) > 2 * sway - 8 && range(1) > sway - 8;
    while (button.isConnected) {
      const passed = (await new Promise(requestAnimationFrame)) - began;
      const { left, top } = button.getBoundingClientRect();
      if (button.isConnected) positions.push([left / scale, top / scale, passed]);
      if (passed > 60_000 || (passed > 6000 && wholly())) break;
    }
    return { kept: button.isConnected, boxes: positions };
  }, SWAY);
  assert.ok(kept, "the line's element was replaced");
  const range = (axis) => {
    const values = boxes.map((at) => at[axis]).sort((a, b) => a - b);
    return values.at(-1) - values[0];
  };
  assert.ok(Math.abs(range(0) - 2 * SWAY) < 16, `moved over ${range(0)} px from side to side, the picture ${2 * SWAY}`);
  assert.ok(Math.abs(range(1) - SWAY) < 14, `moved over ${range(1)} px up and down, the picture ${SWAY}`);
  // Beyond what the picture moves by in that time, at most 80 px a second.
  const steps = boxes.slice(1).map(([x, y, at], i) => {
    const [left, top, before] = boxes[i];
    return Math.hypot(x - left, y - top) - 0.08 * (at - before);
  });
  assert.ok(Math.max(...steps) < SWAY, `jumped by ${Math.max(...steps)} px`);

  await page.getByRole("button", { name: "Freeze" }).click();
  await bakery.click();
  await page.getByText("Copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "CORNER BAKERY");
  await page.getByRole("button", { name: "Copy all" }).click();
  await page.waitForFunction(async () => /CORNER BAKERY\n(.*\n)+/.test(await navigator.clipboard.readText()));

  // A hidden page has no business with the camera.
  const ended = await page.evaluate(() => {
    const [track] = document.querySelector("video").srcObject.getTracks();
    Object.defineProperty(document, "hidden", { value: true, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
    return track.readyState;
  });
  assert.equal(ended, "ended");
  assert.deepEqual(faults, []);
  await opened.context.close();
});

test("the camera is asked for once, and the screen stays lit while it reads", async () => {
  const init = () => {
    window.asked = window.lit = 0;
    const ask = MediaDevices.prototype.getUserMedia;
    MediaDevices.prototype.getUserMedia = function (...how) {
      window.asked += 1;
      return ask.apply(this, how);
    };
    const request = async () => {
      window.lit += 1;
      return { release: async () => (window.lit -= 1) };
    };
    Object.defineProperty(navigator, "wakeLock", { value: { request } });
  };
  const opened = await open(browser, server.url, { context, start: "#/camera", init });
  const { page, faults } = opened;
  const lit = (count) => page.waitForFunction((wanted) => window.lit === wanted, count);
  await lit(1);
  await page.getByText("Photo", { exact: true }).click();
  await lit(0);
  await page.getByText("Live", { exact: true }).click();
  await lit(1);
  for (const name of ["Settings", "History"]) {
    await page.getByRole("link", { name: "Camera", exact: true }).click();
    await page.getByRole("button", { name: "Take picture" }).waitFor();
    await page.evaluate(() => (window.asked = 0));
    await page.getByRole("link", { name }).click();
    await page.getByRole("heading", { name }).waitFor();
    await lit(0);
    assert.equal(await page.evaluate(() => window.asked), 0, `asked anew on the way to ${name}`);
  }
  assert.deepEqual(faults, []);
  await opened.context.close();
});

test("a camera that is taken away says so, and comes back", async () => {
  const opened = await open(browser, server.url, { context, start: "#/camera" });
  const { page, faults } = opened;
  await page.getByRole("button", { name: "CORNER BAKERY" }).waitFor();
  await page.evaluate(() => {
    const [track] = document.querySelector("video").srcObject.getVideoTracks();
    track.stop();
    track.dispatchEvent(new Event("ended"));
  });
  const alert = page.getByRole("alert");
  await alert.getByRole("heading", { name: "The camera was disconnected" }).waitFor();
  await alert.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("button", { name: "CORNER BAKERY" }).waitFor();
  assert.deepEqual(faults, []);
  await opened.context.close();
});

test("live mode shows what it waits for, and reads once it can", async () => {
  let answer = (request, response) => request.url.includes("/models/") && response.destroy();
  const other = await serve({ answer: (...call) => answer(...call) });
  const opened = await open(browser, other.url, { context, start: "#/camera" });
  const { page, faults } = opened;
  const said = page.locator(".state");
  await said.getByText("reach the network").waitFor();
  // It doesn't give up.
  let tries = 0;
  answer = (request, response) => request.url.includes("/models/") && ((tries += 1), response.destroy());
  while (tries < 4) await page.waitForTimeout(100);
  let release;
  const released = new Promise((done) => (release = done));
  answer = (request, response) => {
    if (!request.url.includes("tiny-rec")) return false;
    const file = readFileSync(join(DIST, new URL(request.url, other.url).pathname));
    response.writeHead(200, { "content-length": file.length });
    response.write(file.subarray(0, 1_000_000));
    void released.then(() => response.end(file.subarray(1_000_000)));
    return true;
  };
  await said.getByText(/Downloading models: .+ \/ .+/).waitFor();
  release();
  await page.getByRole("button", { name: "CORNER BAKERY" }).waitFor();
  assert.deepEqual(faults, []);
  await opened.context.close();
  await other.stop();
});

test("nothing can be taken before there is a picture", async () => {
  const init = () => {
    let track;
    MediaDevices.prototype.getUserMedia = async () =>
      new MediaStream([(track = new MediaStreamTrackGenerator({ kind: "video" }))]);
    window.send = () => {
      const canvas = new OffscreenCanvas(640, 480);
      canvas.getContext("2d").fillRect(0, 0, 640, 480);
      const frame = new VideoFrame(canvas, { timestamp: 0 });
      return track.writable.getWriter().write(frame);
    };
  };
  const opened = await open(browser, server.url, { context, init });
  const { page, faults } = opened;
  // The page isn't loaded while a video waits for its first frame.
  await page.getByRole("navigation").getByRole("link", { name: "Camera", exact: true }).click();
  const shutter = page.getByRole("button", { name: "Take picture" });
  await page.waitForFunction(() => document.querySelector("video")?.srcObject);
  assert.ok(await shutter.isDisabled());
  await page.getByText("Starting the camera…").waitFor();
  await page.evaluate(() => window.send());
  await page.waitForFunction(() => !document.querySelector(".shutter").disabled);
  assert.deepEqual(faults, []);
  await opened.context.close();
});

test("a photo is taken and read", async () => {
  const opened = await open(browser, server.url, { context, start: "#/camera" });
  const { page, faults } = opened;
  await page.getByText("Photo", { exact: true }).click();
  await page.waitForFunction(() => document.querySelector("video").videoWidth > 0);
  await page.getByRole("button", { name: "Take picture" }).click();
  assert.match(await readText(page), /CORNER BAKERY[^]*Sourdough/);
  assert.deepEqual(faults, []);
  await opened.context.close();
});

test("a refused camera says so, and offers pictures instead", async () => {
  const other = await launch();
  const opened = await open(other, server.url, { start: "#/camera" });
  const alert = opened.page.getByRole("alert");
  await alert.waitFor();
  assert.match(await alert.innerText(), /isn’t allowed|No camera found/);
  await alert.getByRole("button", { name: "Choose a picture" }).waitFor();
  await other.close();
});
