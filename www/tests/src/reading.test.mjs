// A picture in a real browser: opened, read, corrected, exported, found again.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";

import { appTests, drawn, exported, go, home, keptTexts, pixelsOf, until } from "./app.mjs";
import { choose, pick, readText } from "./browser.mjs";
import { commandText, sample } from "./samples.mjs";

const app = appTests();

/** Of a picture, a quarter turn to the left, as a PNG. */
async function turned(page, path) {
  const base64 = await page.evaluate(async (source) => {
    const image = await createImageBitmap(new Blob([Uint8Array.from(atob(source), (c) => c.charCodeAt(0))]));
    const canvas = new OffscreenCanvas(image.height, image.width);
    const context = canvas.getContext("2d");
    context.translate(0, image.width);
    context.rotate(-Math.PI / 2);
    context.drawImage(image, 0, 0);
    const bytes = new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer());
    let text = "";
    for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
    return btoa(text);
  }, readFileSync(path).toString("base64"));
  return Buffer.from(base64, "base64");
}

describe("a picture", () => {
  test("is opened, read, corrected, exported, found again, and read without a network", async () => {
    await app.visit({}, async (page, context) => {
      await pick(page, sample("receipt.jpg"));
      const text = await readText(page);
      assert.equal(text, commandText(sample("receipt.jpg")));

      const corrected = text.replace("CORNER BAKERY", "CORNER BAKERY & CO");
      await page.getByRole("textbox", { name: "All text" }).fill(corrected);
      const txt = await exported(page, "Plain text");
      assert.deepEqual([txt.name, txt.text], ["receipt.txt", `${corrected}\n`]);
      assert.match((await exported(page, "Markdown")).text, /^CORNER BAKERY \\& CO/m);
      const json = JSON.parse((await exported(page, "JSON")).text);
      assert.deepEqual([json.text, json.selected_models], [corrected, ["ppocrv6-tiny-det", "ppocrv6-tiny-rec"]]);
      assert.equal(json.lines[0].text, "CORNER BAKERY & CO");

      await page.keyboard.press("Control+f");
      await page.keyboard.type("total");
      await page.getByText("1 of 2").waitFor();

      await page.evaluate(() => navigator.serviceWorker.ready);
      await until(() => page.evaluate(async () => (await caches.keys()).length >= 2));
      await until(async () => (await keptTexts(page))[0] === corrected);
      await app.server.stop();
      await context.setOffline(true);
      await page.reload();
      assert.equal(await readText(page), corrected);

      await go(page, "#/history");
      await page.getByRole("searchbox").fill("sourdough 7.60");
      await page.getByRole("link", { name: /receipt\.jpg/ }).waitFor();
      assert.deepEqual(await page.locator("mark").allInnerTexts(), ["Sourdough", "7.60"]);
      await page.getByRole("searchbox").fill("nowhere");
      await page.getByText("No matches").waitFor();

      await home(page);
      await pick(page, sample("chinese.jpg"));
      assert.equal(await readText(page), commandText(sample("chinese.jpg")));

      await choose(page, "More", "Delete");
      await go(page, "#/history");
      await page.getByText("1 picture", { exact: true }).first().waitFor();
      await page.getByRole("button", { name: "Undo" }).click();
      await page.getByText("2 pictures", { exact: true }).first().waitFor();
    });
  });

  test("has its text exactly over its words", async () => {
    await app.visit({}, async (page) => {
      await pick(page, sample("receipt.jpg"));
      await page.getByRole("textbox", { name: "All text" }).waitFor();
      const words = page.locator(".word");
      await words.first().waitFor({ state: "attached" });
      const { text, distance } = await page.evaluate(async () => {
        const selection = getSelection();
        const [first, last] = [...document.querySelectorAll(".word")].slice(0, 6).reduce((a, w) => [a[0] ?? w, w], []);
        selection.setBaseAndExtent(first.firstChild, 0, last.firstChild, last.firstChild.length);
        // Where each word's element is drawn, against its frame of the boxes' layer.
        const drawn = [...document.querySelectorAll(".word")].map((w) => w.getBoundingClientRect());
        const frames = [...document.querySelectorAll(".boxes polygon")].map((p) => p.getBoundingClientRect());
        const inside = drawn.map((r) =>
          Math.min(
            ...frames.map((f) => Math.max(f.left - r.left, r.right - f.right, f.top - r.top, r.bottom - f.bottom)),
          ),
        );
        return { text: selection.toString(), distance: Math.max(...inside) };
      });
      assert.match(text, /^CORNER BAKERY\n12 Mill Lane, Leeds/);
      assert.ok(distance < 6, `${distance} px outside of its line`);
    });
  });

  test("is cropped and turned by keyboard", async () => {
    const init = () => {
      window.written = [];
      // Beside the page, which has presses to answer.
      window.Worker = class extends Worker {
        constructor(...how) {
          super(...how);
          this.addEventListener(
            "message",
            ({ data: { made } }) => made instanceof Blob && window.written.push(made.type),
          );
        }
      };
    };
    await app.visit({ init }, async (page) => {
      await pick(page, sample("receipt.jpg"));
      await choose(page, "More", "Crop and rotate");
      const corner = page.getByRole("button", { name: "Bottom right" });
      for (let i = 0; i < 7; i++) await corner.press("Shift+ArrowUp");
      await page.getByRole("button", { name: "Read this part" }).click();
      const text = await readText(page);
      assert.match(text, /CORNER BAKERY/);
      assert.doesNotMatch(text, /come again/);
      // A photo stays one, beside its thumbnails.
      assert.deepEqual([...new Set(await page.evaluate(() => window.written))].sort(), ["image/jpeg", "image/webp"]);
    });
  });

  test("that was cropped can be cropped anew from what it was, also later", async () => {
    await app.visit({}, async (page) => {
      await pick(page, sample("receipt.jpg"));
      await readText(page);
      await choose(page, "More", "Crop and rotate");
      const corner = page.getByRole("button", { name: "Bottom right" });
      for (let i = 0; i < 7; i++) await corner.press("Shift+ArrowUp");
      await page.getByRole("button", { name: "Read this part" }).click();
      assert.doesNotMatch(await readText(page), /come again/);
      await until(async () => !/come again/.test((await keptTexts(page))[0] ?? "come again"));
      await page.reload();
      assert.doesNotMatch(await readText(page), /come again/);
      await drawn(page);
      await choose(page, "More", "Crop and rotate");
      await page.getByRole("button", { name: "Reset" }).click();
      await page.getByRole("button", { name: "Read this part" }).click();
      assert.equal(await readText(page), commandText(sample("receipt.jpg")));
    });
  });

  test("that lies on its side is turned", async () => {
    await app.visit({}, async (page) => {
      const buffer = await turned(page, sample("receipt.jpg"));
      await pick(page, { name: "sideways.png", mimeType: "image/png", buffer });
      assert.match(await readText(page), /^CORNER BAKERY\n12 Mill Lane, Leeds/);
      await page.getByText("The picture was sideways").waitFor();
    });
  });

  test("that can't be cropped says so", async () => {
    const init = () => {
      // Neither beside the page nor in it.
      window.Worker = class extends Worker {
        constructor(where, options) {
          super(options.name === "pictures" ? "./missing.js" : where, options);
        }
      };
      OffscreenCanvas.prototype.convertToBlob = () => Promise.reject(new DOMException("no", "EncodingError"));
    };
    await app.visit({ init }, async (page) => {
      await pick(page, sample("receipt.jpg"));
      await choose(page, "More", "Crop and rotate");
      await page.getByRole("button", { name: "Rotate left" }).click();
      await page.getByRole("button", { name: "Read this part" }).click();
      await page.getByText("Something went wrong").waitFor();
      assert.equal(await page.getByRole("dialog").count(), 0);
      assert.match(await readText(page), /CORNER BAKERY/);
    });
  });

  test("may be dropped, pasted, or of a kind that browsers can't show", async () => {
    await app.visit({}, async (page) => {
      const given = await page.evaluateHandle(
        (base64) => {
          const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], "given.png", { type: "image/png" }));
          return data;
        },
        readFileSync(sample("photo.png")).toString("base64"),
      );
      await page.dispatchEvent("body", "drop", { dataTransfer: given });
      assert.match(await readText(page), /Region-based segmentation/);
      await go(page, "#/");
      await page.evaluate(
        (clipboardData) => window.dispatchEvent(new ClipboardEvent("paste", { clipboardData })),
        given,
      );
      assert.match(await readText(page), /Region-based segmentation/);

      await go(page, "#/");
      const dark = await pixelsOf(page, sample("dark.png"));
      const pnm = Buffer.concat([Buffer.from(`P6 ${dark.width} ${dark.height} 255\n`), Buffer.from(dark.data)]);
      await pick(page, { name: "dark.ppm", mimeType: "image/x-portable-pixmap", buffer: pnm });
      assert.equal(await readText(page), commandText(sample("dark.png")));
      await drawn(page);
    });
  });

  test("is read again when its engine crashes", async () => {
    await app.visit({}, async (page) => {
      await pick(page, sample("photo.png"));
      await readText(page);
      await go(page, "#/");
      await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
      const engine = () => page.workers().find((other) => /\/worker-/.test(other.url()));
      const worker = engine();
      await worker.evaluate(() => setTimeout(() => setTimeout(() => { throw new Error("crash"); }, 30), 0)); // prettier-ignore
      await pick(page, sample("columns.png"));
      assert.match(await readText(page), /Linn/i);
      assert.notEqual(engine(), worker);
    });
  });

  test("that can't be read says why, and what to do", async () => {
    await app.visit({}, async (page) => {
      const broken = {
        "empty.jpg": /empty/,
        "text.png": /JPEG, PNG/,
        "bomb.png": /too many pixels/,
        "bad-crc.png": /damaged/,
      };
      for (const [name, reason] of Object.entries(broken)) {
        await go(page, "#/");
        await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
        await pick(page, sample(`broken/${name}`));
        const alert = page.getByRole("alert");
        await alert.waitFor();
        assert.match(await alert.innerText(), reason, name);
        await alert.getByRole("button", { name: "Try again" }).waitFor();
      }
    });
  });

  test("stops when it is told to", async () => {
    await app.visit({}, async (page) => {
      await pick(page, sample("columns.png"));
      await page.getByRole("button", { name: "Stop" }).click();
      await page.getByRole("heading", { name: "Stopped" }).waitFor();
      await page.getByRole("button", { name: "Try again" }).click();
      assert.match(await readText(page), /Linn/i);
    });
  });
});
