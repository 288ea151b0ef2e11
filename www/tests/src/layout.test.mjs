// Every screen fits its window: nothing is cut off or pushed out, in any language, with all that a phone adds to it.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { appTests, drawn, go, home, until } from "./app.mjs";
import { pick, readText } from "./browser.mjs";
import { sample, shotsOf } from "./samples.mjs";

const app = appTests();

const SIZES = [
  [320, 568],
  [360, 740],
  [390, 844],
  [430, 932],
  [844, 390],
  [1280, 860],
];

/** What only phones have. */
const phone = () => {
  Object.defineProperty(navigator, "share", { value: async () => undefined, configurable: true });
  const { getCapabilities } = MediaStreamTrack.prototype;
  MediaStreamTrack.prototype.getCapabilities = function () {
    const zoom = { min: 1, max: 8, step: 0.1 };
    return { ...getCapabilities?.call(this), torch: true, zoom, exposureCompensation: { min: -2, max: 2, step: 0.1 } };
  };
  // A camera without one: a canvas that changes.
  MediaDevices.prototype.getUserMedia = async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 1280, height: 720 });
    const context = canvas.getContext("2d");
    setInterval(() => {
      context.fillStyle = "#ddd";
      context.fillRect(0, 0, 1280, 720);
      context.fillStyle = "#111";
      context.font = "64px sans-serif";
      context.fillText("Text before the camera", 120, 360 + (Date.now() % 3));
    }, 50);
    return canvas.captureStream(20);
  };
};

/** What doesn't fit: buttons, links and fields that aren't wholly within the window, or within what scrolls. */
const misfits = (page, size) =>
  // A phone's window grows with what is too wide: its own sizes tell nothing.
  page.evaluate(([innerWidth, innerHeight]) => {
    const told = [];
    const { scrollWidth } = document.documentElement;
    if (scrollWidth > innerWidth) told.push(`the page is ${scrollWidth} px wide`);
    for (const node of document.querySelectorAll("a, button, input, textarea, select, summary, h1")) {
      const { left, top, right, bottom, width } = node.getBoundingClientRect();
      const style = getComputedStyle(node);
      const hidden =
        width <= 1 || style.visibility === "hidden" || style.opacity === "0" || node.closest(".hidden, .skip");
      // A line that the camera sees lies where it is seen, also at the edge of the video.
      if (hidden || node.closest(".tracks")) continue;
      let scrolls = false;
      for (let parent = node.parentElement; parent; parent = parent.parentElement)
        if (/auto|scroll/.test(getComputedStyle(parent).overflow + getComputedStyle(parent).overflowX)) scrolls = true;
      const name = node.ariaLabel || node.textContent.trim().slice(0, 30) || node.className;
      if (!scrolls && (left < -0.5 || right > innerWidth + 0.5))
        told.push(`${name}: from ${Math.round(left)} to ${Math.round(right)} px across`);
      const fixed = node.closest("nav, .read, .camera");
      if (fixed && !scrolls && !node.closest(".text") && (top < -0.5 || bottom > innerHeight + 0.5))
        told.push(`${name}: from ${Math.round(top)} to ${Math.round(bottom)} px down`);
    }
    return told;
  }, size);

for (const locale of ["en-GB", "zh-CN", "zh-TW"]) {
  test(`screens fit in ${locale}`, async () => {
    const context = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, locale };
    await app.visit({ context: { ...context, permissions: ["camera"] }, init: phone }, async (page) => {
      const told = [];
      const look = async (screen) => {
        for (const [width, height] of SIZES) {
          await page.setViewportSize({ width, height });
          await page.evaluate(() => scrollTo(0, 0));
          await page.waitForTimeout(350);
          told.push(
            ...(await misfits(page, [width, height])).map((what) => `${screen} at ${width}×${height}: ${what}`),
          );
        }
      };
      await page.locator("h1").waitFor();
      await look("home");
      await pick(page, sample("receipt.jpg"));
      await page.locator(".flow textarea").waitFor();
      await look("read");
      await page.locator(".tools button").last().click();
      await page.locator("#find").fill("total");
      await look("find");
      await page.setViewportSize({ width: 320, height: 568 });
      await page.locator(".bar button").last().click();
      await look("menu");
      for (const hash of ["history", "settings", "queue", "camera"]) {
        await go(page, `#/${hash}`);
        await page.locator(hash === "camera" ? ".shutter:enabled" : "h1").waitFor();
        if (hash === "settings") await page.locator("summary").click();
        await look(hash);
      }
      assert.deepEqual(told, []);
    });
  });
}

describe("a photo of 12 megapixels", () => {
  test("is drawn at the screen's size, its frames as thick and as coloured as they should be", async () => {
    const [photo] = await shotsOf(app.browser, sample("receipt.jpg"), 1, 3000, 4000);
    await app.visit({}, async (page) => {
      await pick(page, photo);
      await readText(page);
      await drawn(page);
      const seen = await page.evaluate(() => {
        const canvas = document.querySelector(".frame canvas.whole");
        const polygon = document.querySelector("polygon");
        // Only transforms within the drawing leave strokes as they are.
        let scaled = 1;
        for (let node = polygon.closest("svg"); node; node = node.parentElement)
          scaled *= new DOMMatrix(getComputedStyle(node).transform).a;
        return { pixels: canvas.width * canvas.height, scaled, thick: getComputedStyle(polygon).strokeWidth };
      });
      assert.ok(seen.pixels <= 2048 * 2048, `${seen.pixels} pixels`);
      assert.equal(seen.scaled, 1);
      // As drawn: dark teal over the pale paper, somewhere along the first line's frame.
      const { x, y, width } = await page.locator("polygon").first().boundingBox();
      const clip = { x: x - 4, y: y - 4, width: Math.min(width, 60), height: 12 };
      const count = async () => {
        const shot = (await page.screenshot({ clip })).toString("base64");
        return page.evaluate(async (base64) => {
          const image = await createImageBitmap(new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))]));
          const canvas = new OffscreenCanvas(image.width, image.height);
          const context = canvas.getContext("2d");
          context.drawImage(image, 0, 0);
          const { data } = context.getImageData(0, 0, image.width, image.height);
          let teal = 0;
          for (let i = 0; i < data.length; i += 4) if (data[i + 1] - data[i] > 25) teal += 1;
          return teal / image.width;
        }, shot);
      };
      // Rows of it: about as many as its stroke is thick.
      const rows = await count();
      assert.ok(rows >= 0.7 && rows <= 4, `${rows} px thick`);
    });
  });
});

describe("with a finger", () => {
  const context = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
  const chosen = (page) => page.locator("polygon.chosen").count();

  test("a word is chosen on the picture, more with its handles, and copied", async () => {
    const permissions = ["clipboard-read", "clipboard-write"];
    await app.visit({ context: { ...context, permissions }, init: phone }, async (page) => {
      await pick(page, sample("receipt.jpg"));
      await readText(page);
      await drawn(page);
      const box = await page.locator(".word").nth(2).boundingBox();
      await page.touchscreen.tap(box.x + box.width / 2, box.y + box.height / 2);
      await page.getByRole("toolbar", { name: "Selected text" }).waitFor();
      assert.equal(await chosen(page), 1);
      await page.getByRole("button", { name: "End of selection" }).press("ArrowRight");
      await until(async () => (await chosen(page)) === 2);
      const toolbar = page.getByRole("toolbar", { name: "Selected text" });
      await toolbar.getByRole("button", { name: "Copy" }).click();
      await page.getByText("Copied").waitFor();
      const copied = await page.evaluate(() => navigator.clipboard.readText());
      assert.match(copied, /^\S+ \S+$/);
      await toolbar.getByRole("button", { name: "Select all" }).click();
      assert.ok((await chosen(page)) > 10);
      await toolbar.getByRole("button", { name: "Close" }).click();
      assert.equal(await chosen(page), 0);
    });
  });

  test("the panel of the text is dragged up and down, and every screen has a way back", async () => {
    await app.visit({ context, init: phone }, async (page) => {
      await pick(page, sample("receipt.jpg"));
      await readText(page);
      const height = () => page.locator(".sheet").evaluate((e) => e.getBoundingClientRect().height);
      const before = await height();
      const grip = page.getByRole("separator", { name: "Height of the text panel" });
      await grip.press("ArrowUp");
      await until(async () => (await height()) > before + 30);
      await grip.press("Home");
      await until(async () => (await height()) < before - 60);
      await page.getByRole("link", { name: "Back" }).click();
      await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
      await go(page, "#/camera");
      await page.getByRole("link", { name: "Back" }).click();
      await home(page);
    });
  });
});
