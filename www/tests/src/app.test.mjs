// The app's whole way in a real browser: opened, used, closed, opened again without a network.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createReadStream, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";

import axe from "axe-core";
import { unzipSync } from "fflate";

import { launch, open, pick, readText } from "./browser.mjs";
import { commandText, pdfOf, sample, tiffOf } from "./samples.mjs";
import { DIST, serve } from "./serve.mjs";

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true };

let browser;
let server;
/** What the server does before it looks for a file; each test may set it. */
let answer;
let sent;

before(async () => {
  browser = await launch();
});

after(() => browser.close());

beforeEach(async () => {
  answer = () => false;
  sent = [];
  server = await serve({ answer: (...call) => answer(...call), sent: (path) => sent.push(path) });
});

afterEach(() => server.stop());

/** Opens the app, does `work`, and checks that nothing went wrong behind its back. */
async function visit(options, work) {
  const { context, page, faults } = await open(browser, server.url, options);
  try {
    await work(page, context);
    assert.deepEqual(faults, []);
  } finally {
    await context.close();
  }
}

async function saved(page, press) {
  const [download] = await Promise.all([page.waitForEvent("download"), press()]);
  return { name: download.suggestedFilename(), content: await readFile(await download.path()) };
}

async function exported(page, format) {
  const { name, content } = await saved(page, async () => {
    await page.getByRole("button", { name: "Export" }).click();
    await page.getByRole("menuitem", { name: format, exact: true }).click();
  });
  return { name, text: content.toString("utf8") };
}

/** WebAssembly modules of the engine that are kept for offline use. */
const keptModules = (page) =>
  page.evaluate(async () => {
    const found = [];
    for (const name of await caches.keys())
      for (const { url } of await (await caches.open(name)).keys())
        found.push(...(/maoocr\w*_bg(?=-[^/]+\.wasm)/.exec(url) ?? []));
    return found;
  });

/** Texts in the history. */
const keptTexts = (page) =>
  page.evaluate(
    () =>
      new Promise((resolve) => {
        const opening = indexedDB.open("maoocr");
        opening.onsuccess = () => {
          const all = opening.result.transaction("documents").objectStore("documents").getAll();
          all.onsuccess = () => {
            opening.result.close();
            resolve(all.result.map(({ document }) => document.text));
          };
        };
      }),
  );

async function until(condition) {
  for (const end = Date.now() + 60_000; !(await condition()); await new Promise((next) => setTimeout(next, 50)))
    assert.ok(Date.now() < end, `never: ${condition}`);
}

/** RGB. */
const pixelsOf = (page, path) =>
  page.evaluate(async (base64) => {
    const image = await createImageBitmap(new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))]));
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, image.width, image.height);
    return { width: image.width, height: image.height, data: [...data.filter((_, i) => i % 4 !== 3)] };
  }, readFileSync(path).toString("base64"));

const go = (page, hash) => page.evaluate((to) => (location.hash = to), hash);

describe("a picture", () => {
  test("is opened, read, corrected, exported, found again, and read without a network", async () => {
    await visit({}, async (page, context) => {
      await pick(page, sample("receipt.jpg"));
      const text = await readText(page);
      assert.equal(text, commandText(sample("receipt.jpg")));

      await page.getByRole("tab", { name: "Lines" }).click();
      const line = page.getByRole("textbox", { name: "Text of line 1", exact: true });
      await line.fill("CORNER BAKERY & CO");
      await line.press("Enter");
      assert.ok(
        await page
          .getByRole("textbox", { name: "Text of line 2", exact: true })
          .evaluate((e) => e === document.activeElement),
      );
      const corrected = text.replace("CORNER BAKERY", "CORNER BAKERY & CO");

      const txt = await exported(page, "TXT");
      assert.deepEqual([txt.name, txt.text], ["receipt.txt", `${corrected}\n`]);
      assert.match((await exported(page, "Markdown")).text, /^# receipt\.jpg\n\nCORNER BAKERY & CO/);
      const json = JSON.parse((await exported(page, "JSON")).text);
      assert.deepEqual([json.text, json.selected_models], [corrected, ["ppocrv6-tiny-det", "ppocrv6-tiny-rec"]]);

      await page.keyboard.press("Control+f");
      await page.keyboard.type("total");
      await page.getByText("1 of 2").waitFor();

      await page.evaluate(() => navigator.serviceWorker.ready);
      await page.getByText("Ready to work offline").waitFor();
      // Of the modules for CPUs the one that this browser runs.
      assert.deepEqual(await keptModules(page), ["maoocr_relaxed_bg"]);
      await server.stop();
      await context.setOffline(true);
      await page.reload();
      assert.equal(await readText(page), corrected);

      await go(page, "#/history");
      await page.getByRole("searchbox").fill("sourdough 7.60");
      await page.getByRole("link", { name: /receipt\.jpg/ }).waitFor();
      await page.getByRole("searchbox").fill("nowhere");
      await page.getByText("No text matches").waitFor();

      await go(page, "#/");
      await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
      await pick(page, sample("chinese.jpg"));
      assert.equal(await readText(page), commandText(sample("chinese.jpg")));

      await page.getByRole("button", { name: "Delete" }).click();
      await go(page, "#/history");
      await page.getByText("1 picture", { exact: true }).first().waitFor();
      await page.getByRole("button", { name: "Undo" }).click();
      await page.getByText("2 pictures", { exact: true }).first().waitFor();
      await page.getByRole("button", { name: "Delete all" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Delete all" }).click();
      await page.getByText("Nothing here yet").waitFor();
    });
  });

  test("has its text exactly over its words", async () => {
    await visit({}, async (page) => {
      await pick(page, sample("receipt.jpg"));
      await page.getByRole("tab", { name: "Text" }).waitFor();
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
      const write = OffscreenCanvas.prototype.convertToBlob;
      OffscreenCanvas.prototype.convertToBlob = function (options) {
        window.written.push(options.type);
        return write.call(this, options);
      };
    };
    await visit({ init }, async (page) => {
      await pick(page, sample("receipt.jpg"));
      await page.getByRole("button", { name: "Crop and turn" }).click();
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

  test("that can't be cropped says so", async () => {
    const init = () => {
      OffscreenCanvas.prototype.convertToBlob = () => Promise.reject(new DOMException("no", "EncodingError"));
    };
    await visit({ init }, async (page) => {
      await pick(page, sample("receipt.jpg"));
      await page.getByRole("button", { name: "Crop and turn" }).click();
      await page.getByRole("button", { name: "Turn left" }).click();
      await page.getByRole("button", { name: "Read this part" }).click();
      await page.getByText("Something went wrong").waitFor();
      assert.equal(await page.getByRole("dialog").count(), 0);
      assert.match(await readText(page), /CORNER BAKERY/);
    });
  });

  test("that was hard to read is read again by larger models", async () => {
    await visit({}, async (page) => {
      await pick(page, sample("vertical.jpg"));
      await readText(page);
      await page.getByRole("button", { name: "Read again, more accurately" }).click();
      assert.match(await readText(page), /どこで生れた/);
      await page.getByText("Details").click();
      await page
        .getByText(/ppocrv6-small-rec/)
        .first()
        .waitFor();
    });
  });

  test("keeps its text when reading it again fails or is stopped, and asks before corrections are lost", async () => {
    await visit({}, async (page) => {
      // Which would have the larger models go unused.
      await go(page, "#/settings");
      await page.getByText("A person waits").click();
      await go(page, "#/");
      await pick(page, sample("vertical.jpg"));
      const text = await readText(page);
      const improve = page.getByRole("button", { name: "Read again, more accurately" });
      answer = (request, response) => request.url.includes("small") && response.destroy();
      await improve.click();
      await page.getByText(/network can't be reached.*The text is as it was before/).waitFor();
      assert.equal(await readText(page), text);

      answer = (request) => request.url.includes("small");
      await improve.click();
      await page.getByRole("button", { name: "Stop" }).click();
      await page.getByText("Stopped. The text is as it was before.").waitFor();
      assert.equal(await readText(page), text);
      answer = () => false;

      const whole = page.getByRole("textbox", { name: "All text" });
      await whole.fill("by hand");
      await whole.blur();
      await improve.click();
      await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
      assert.equal(await readText(page), "by hand");
      await until(async () => (await keptTexts(page)).includes("by hand"));
      // Also when it comes from the history.
      await page.reload();
      await improve.click();
      await page.getByRole("dialog").getByRole("button", { name: "Read again" }).click();
      assert.match(await readText(page), /どこで生れた/);
    });
  });

  test("that is corrected or deleted while it is being kept stays so", async () => {
    // Holds thumbnails until they are let go.
    const init = () => {
      const convert = OffscreenCanvas.prototype.convertToBlob;
      const held = new Promise((letGo) => (window.letGo = letGo));
      OffscreenCanvas.prototype.convertToBlob = async function (...options) {
        await held;
        return convert.apply(this, options);
      };
    };
    await visit({ init }, async (page) => {
      await pick(page, sample("photo.png"));
      await readText(page);
      const whole = page.getByRole("textbox", { name: "All text" });
      await whole.fill("by hand");
      await whole.blur();
      await go(page, "#/");
      await pick(page, sample("receipt.jpg"));
      await readText(page);
      await page.getByRole("button", { name: "Delete" }).click();
      await page.evaluate(() => window.letGo());
      await page.getByText("Deleted").waitFor();
      await until(async () => (await keptTexts(page)).length > 0);
      await page.waitForTimeout(500);
      assert.deepEqual(await keptTexts(page), ["by hand"]);
    });
  });

  test("is spread over the device's cores, and reads the same", async () => {
    const init = () => Object.defineProperty(navigator, "hardwareConcurrency", { value: 4 });
    await visit({ init }, async (page) => {
      await pick(page, sample("columns.png"));
      assert.equal(await readText(page), commandText(sample("columns.png")));
      assert.equal(page.workers().length, 3);
    });
  });

  test("may be dropped, pasted, or of a kind that browsers can't show", async () => {
    await visit({}, async (page) => {
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
      await page.locator(".frame img").evaluate((image) => image.decode());
    });
  });

  test("is read again when its engine crashes", async () => {
    await visit({}, async (page) => {
      await pick(page, sample("photo.png"));
      await readText(page);
      await go(page, "#/");
      await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
      const [worker] = page.workers();
      await worker.evaluate(() => setTimeout(() => setTimeout(() => { throw new Error("crash"); }, 30), 0)); // prettier-ignore
      await pick(page, sample("columns.png"));
      assert.match(await readText(page), /Linn/i);
      assert.notEqual(page.workers()[0], worker);
    });
  });

  test("that can't be read says why, and what to do", async () => {
    await visit({}, async (page) => {
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
    await visit({}, async (page) => {
      await pick(page, sample("columns.png"));
      await page.getByRole("button", { name: "Stop" }).click();
      await page.getByRole("heading", { name: "Stopped" }).waitFor();
      await page.getByRole("button", { name: "Try again" }).click();
      assert.match(await readText(page), /Linn/i);
    });
  });
});

describe("a text", () => {
  const line = (page, n) => page.getByRole("textbox", { name: `Text of line ${n}`, exact: true });
  const focused = (page) => page.evaluate(() => document.activeElement.ariaLabel ?? document.activeElement.tagName);
  /** What the history keeps of the only picture in it. */
  const kept = (page) =>
    page.evaluate(async () => {
      const opening = indexedDB.open("maoocr");
      await new Promise((done) => (opening.onsuccess = done));
      const entries = opening.result.transaction("entries").objectStore("entries").getAll();
      await new Promise((done) => (entries.onsuccess = done));
      opening.result.close();
      return entries.result[0]?.text ?? "";
    });
  const until = async (page, wanted) => {
    for (const end = Date.now() + 10_000; !wanted.test(await kept(page)); await page.waitForTimeout(50))
      if (Date.now() > end) assert.match(await kept(page), wanted);
  };

  test("that was corrected as a whole is corrected in its lines", async () => {
    await visit({}, async (page) => {
      await pick(page, sample("receipt.jpg"));
      const text = await readText(page);
      const whole = page.getByRole("textbox", { name: "All text" });
      await whole.fill(text.replace("CORNER BAKERY", "CORNER SHOP"));
      await page.getByRole("tab", { name: "Lines" }).click();
      assert.equal(await line(page, 1).inputValue(), "CORNER SHOP");
      await line(page, 1).fill("CORNER CAFE");
      await line(page, 1).press("Enter");
      const corrected = text.replace("CORNER BAKERY", "CORNER CAFE");
      assert.equal(await readText(page), corrected);
      assert.equal((await exported(page, "TXT")).text, `${corrected}\n`);
    });
  });

  test("is kept while it is typed, and when its screen is left", async () => {
    await visit({}, async (page) => {
      await pick(page, sample("receipt.jpg"));
      await page.getByRole("tab", { name: "Lines" }).click();
      await until(page, /^CORNER/);
      await line(page, 1).press("End");
      await page.keyboard.type(" & SONS ");
      await until(page, /^CORNER BAKERY & SONS \n/);
      // Where the person is in the field stays as it is.
      await page.keyboard.type("LTD");
      assert.equal(await line(page, 1).inputValue(), "CORNER BAKERY & SONS LTD");
      await page.keyboard.press("Escape");
      await until(page, /^CORNER BAKERY\n/);

      await readText(page);
      await page.getByRole("textbox", { name: "All text" }).focus();
      await page.keyboard.press("Control+Home");
      await page.keyboard.type("THE ");
      await go(page, "#/history");
      await until(page, /^THE CORNER BAKERY\n/);
    });
  });

  test("that is pasted or dropped into a field stays in it, whatever comes with it", async () => {
    await visit({}, async (page) => {
      await pick(page, sample("receipt.jpg"));
      await page.getByRole("tab", { name: "Lines" }).click();
      const taken = await line(page, 1).evaluate((field) => {
        const given = (...kinds) => {
          const data = new DataTransfer();
          if (kinds.includes("text")) data.items.add("from a table", "text/plain");
          if (kinds.includes("file")) data.items.add(new File(["x"], "x.png", { type: "image/png" }));
          return data;
        };
        const how = { bubbles: true, cancelable: true };
        return [
          new ClipboardEvent("paste", { ...how, clipboardData: given("text", "file") }),
          new DragEvent("drop", { ...how, dataTransfer: given("text") }),
          new ClipboardEvent("paste", { ...how, clipboardData: given("file") }),
        ].map((event) => !field.dispatchEvent(event));
      });
      assert.deepEqual(taken, [false, false, true]);
    });
  });

  test("isn't left by the Enter that an input method takes", async () => {
    await visit({}, async (page) => {
      await pick(page, sample("receipt.jpg"));
      await page.getByRole("tab", { name: "Lines" }).click();
      await line(page, 1).focus();
      const enter = (how) => line(page, 1).dispatchEvent("keydown", { key: "Enter", ...how });
      await enter({ isComposing: true });
      // As Safari tells it.
      await enter({ keyCode: 229 });
      assert.equal(await focused(page), "Text of line 1");
      await enter({});
      assert.equal(await focused(page), "Text of line 2");
    });
  });

  test("is selected by a double click on it; beside it the picture comes nearer there", async () => {
    await visit({}, async (page) => {
      await pick(page, sample("receipt.jpg"));
      await page.getByRole("tab", { name: "Text" }).waitFor();
      const view = () =>
        page.locator(".content").evaluate((e) => {
          const { a, e: x, f: y } = new DOMMatrix(getComputedStyle(e).transform);
          return { scale: a, x, y };
        });
      const before = await view();
      await page
        .locator(".word")
        .first()
        .dblclick({ position: { x: 10, y: 6 } });
      assert.match(await page.evaluate(() => getSelection().toString()), /CORNER|BAKERY/);
      assert.deepEqual(await view(), before);
      const { x: left, y: top } = await page.locator(".frame").boundingBox();
      const at = { x: 30, y: 40 };
      await page.mouse.dblclick(left + at.x, top + at.y);
      const after = await view();
      assert.ok(Math.abs(after.scale / before.scale - 2) < 0.01);
      // What was under the pointer still is.
      for (const axis of ["x", "y"])
        assert.ok(Math.abs((at[axis] - before[axis]) / before.scale - (at[axis] - after[axis]) / after.scale) < 1);
    });
  });
});

describe("several pictures", () => {
  test("wait in a list: paused, cancelled, retried, exported", async () => {
    await visit({}, async (page) => {
      await pick(page, sample("columns.png"), sample("receipt.jpg"), sample("photo.png"), sample("broken/bad-crc.png"));
      await page.getByRole("button", { name: "Pause" }).click();
      await page.getByRole("button", { name: "Cancel: receipt.jpg" }).click();
      await page.getByRole("button", { name: "Try again: receipt.jpg" }).waitFor();
      await page.getByRole("button", { name: "Resume" }).click();
      await page.getByText("1 failed").waitFor();
      await page.getByRole("button", { name: "Try again: receipt.jpg" }).click();
      await page.getByText("3 of 4 pictures").waitFor();
      const { name, content } = await saved(page, () => page.getByRole("button", { name: "Export all (zip)" }).click());
      assert.equal(name, "maoocr.zip");
      const files = unzipSync(content);
      assert.deepEqual(
        Object.keys(files).sort(),
        ["columns", "photo", "receipt"].flatMap((stem) => ["json", "md", "txt"].map((kind) => `${stem}.${kind}`)),
      );
      assert.equal(new TextDecoder().decode(files["receipt.txt"]), `${commandText(sample("receipt.jpg"))}\n`);
    });
  });

  test("come as the pages of a PDF", async () => {
    await visit({}, async (page) => {
      await pick(page, pdfOf(sample("receipt.jpg"), sample("chinese.jpg")));
      await page.getByText("2 of 2 pictures").waitFor();
      await page.getByRole("link", { name: "scan.pdf · 2" }).click();
      await page.getByText("Page 2 of 2").waitFor();
      assert.match(await readText(page), /希望是本无所谓有/);
    });
  });

  test("come as the pages of a TIFF", async () => {
    await visit({}, async (page) => {
      const pages = ["photo.png", "dark.png"].map((name) => pixelsOf(page, sample(name)));
      const buffer = tiffOf(await Promise.all(pages));
      await pick(page, { name: "fax.tif", mimeType: "image/tiff", buffer });
      await page.getByText("2 of 2 pictures").waitFor();
      await page.getByRole("link", { name: "fax.tif · 2" }).click();
      assert.equal(await readText(page), commandText(sample("dark.png")));
      await page.locator(".frame img").evaluate((image) => image.decode());
    });
  });

  test("of one file stay together, in their order", async () => {
    const [first, second, third] = ["receipt.jpg", "chinese.jpg", "rotated.jpg"].map((name) => sample(name));
    await visit({ context: { permissions: ["clipboard-read", "clipboard-write"] } }, async (page) => {
      await pick(page, sample("photo.png"), pdfOf(first, second, third), sample("dark.png"));
      await page.getByText("5 of 5 pictures").waitFor();
      const { content } = await saved(page, () => page.getByRole("button", { name: "Export all (zip)" }).click());
      const files = unzipSync(content);
      assert.deepEqual(
        Object.keys(files).sort(),
        ["dark", "photo", "scan"].flatMap((stem) => ["json", "md", "txt"].map((kind) => `${stem}.${kind}`)),
      );
      const read = JSON.parse(new TextDecoder().decode(files["scan.json"]));
      assert.equal(read.length, 3);
      assert.match(read[0].text, /^CORNER BAKERY/);
      assert.match(read[1].text, /希望是本无所谓有/);
      const text = new TextDecoder().decode(files["scan.txt"]);
      assert.equal(text, read.map((document) => `${document.text}\n`).join("\f"));
      await page.getByRole("button", { name: "Copy all" }).click();
      await page.getByText("Copied").waitFor();
      const copied = await page.evaluate(() => navigator.clipboard.readText());
      assert.ok(copied.includes(`${read[0].text}\n\n${read[1].text}`));

      const inHistory = ["dark.png", "scan.pdf · 1", "scan.pdf · 2", "scan.pdf · 3", "photo.png"];
      await go(page, "#/history");
      await page.getByText("5 pictures", { exact: true }).first().waitFor();
      assert.deepEqual(await page.locator(".name").allInnerTexts(), inHistory);
      // Reading one again leaves it where it is.
      await page.reload();
      await page.getByRole("link", { name: "scan.pdf · 2" }).click();
      await page.getByRole("button", { name: "Crop and turn" }).click();
      await page.getByRole("button", { name: "Read this part" }).click();
      await readText(page);
      await go(page, "#/history");
      await page.getByText("5 pictures", { exact: true }).first().waitFor();
      assert.deepEqual(await page.locator(".name").allInnerTexts(), inHistory);
    });
  });
});

test("a PDF is closed when no page of it is to be drawn, whatever became of its pages, and opened again", async () => {
  await visit({}, async (page) => {
    const open = () => page.workers().filter((worker) => worker.url().includes("pdf.worker")).length;
    await go(page, "#/settings");
    await page.getByText("Keep read pictures in the history").click();
    await go(page, "#/");
    await pick(page, pdfOf(...["receipt.jpg", "chinese.jpg", "vertical.jpg"].map(sample)));
    await page.getByText("1 of 3 pictures").waitFor();
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByRole("button", { name: "Cancel the rest" }).click();
    assert.equal(open(), 1);
    await until(() => open() === 0);
    await page.getByRole("link", { name: "scan.pdf · 1" }).click();
    await page.locator(".frame img").evaluate((image) => image.decode());
    assert.equal(open(), 1);
    assert.match(await readText(page), /CORNER BAKERY/);
  });
});

test("a PDF that couldn't be opened is opened when it is tried again", async () => {
  answer = (request, response) => /\/assets\/pdf-/.test(request.url) && response.destroy();
  await visit({}, async (page) => {
    await pick(page, pdfOf(sample("receipt.jpg"), sample("chinese.jpg")));
    const alert = page.getByRole("alert");
    assert.match(await alert.innerText(), /network can't be reached/);
    answer = () => false;
    await alert.getByRole("button", { name: "Try again" }).click();
    await page.getByText("2 of 2 pictures").waitFor();
    assert.deepEqual(await page.locator(".name").allInnerTexts(), ["scan.pdf · 1", "scan.pdf · 2"]);
  });
});

test("a PDF is drawn by browsers of some years ago", async () => {
  const older = () => {
    const missing = [
      [Promise, "try"],
      [Math, "sumPrecise"],
      ...["fromHex", "fromBase64"].map((name) => [Uint8Array, name]),
      ...["toHex", "toBase64", "setFromHex", "setFromBase64"].map((name) => [Uint8Array.prototype, name]),
      ...[Map, WeakMap].flatMap(({ prototype }) => ["getOrInsert", "getOrInsertComputed"].map((n) => [prototype, n])),
    ];
    for (const [where, name] of missing) Reflect.deleteProperty(where, name);
  };
  let workers = 0;
  answer = (request, response) => {
    if (!request.url.includes("pdf.worker")) return false;
    workers += 1;
    response.writeHead(200, { "content-type": "text/javascript" });
    response.end(`(${older})();\n${readFileSync(join(DIST, request.url))}`);
    return true;
  };
  await visit({ init: older }, async (page) => {
    await pick(page, pdfOf(sample("receipt.jpg")));
    assert.match(await readText(page), /CORNER BAKERY/);
    assert.ok(workers > 0);
  });
});

describe("the device", () => {
  test("without room for models reads all the same", async () => {
    const init = () => {
      Cache.prototype.put = () => Promise.reject(new DOMException("full", "QuotaExceededError"));
      IDBObjectStore.prototype.put = () => {
        throw new DOMException("full", "QuotaExceededError");
      };
    };
    await visit({ init }, async (page) => {
      await pick(page, sample("photo.png"));
      assert.match(await readText(page), /Region-based segmentation/);
      await page.getByText("storage is full").waitFor();
    });
  });

  test("that keeps nothing for the site reads all the same", async () => {
    const init = () => {
      const denied = () => new DOMException("denied", "SecurityError");
      for (const name of ["localStorage", "sessionStorage"])
        Object.defineProperty(window, name, {
          get() {
            throw denied();
          },
        });
      CacheStorage.prototype.open = () => Promise.reject(denied());
      IDBFactory.prototype.open = () => {
        throw denied();
      };
      ServiceWorkerContainer.prototype.register = () => Promise.reject(denied());
    };
    await visit({ init }, async (page) => {
      await pick(page, sample("photo.png"));
      assert.match(await readText(page), /Region-based segmentation/);
      await page.getByText("doesn't keep data for this site").waitFor();
    });
  });

  test("is made ready to read without a network before there is a picture, and says so no earlier", async () => {
    const held = [];
    answer = (request, response) =>
      request.url.startsWith("/models/") &&
      Boolean(held.push(() => createReadStream(join(DIST, request.url)).pipe(response)));
    await visit({}, async (page, context) => {
      await page.evaluate(() => navigator.serviceWorker.ready);
      await until(() => held.length === 3);
      await page.waitForTimeout(1000);
      assert.equal(await page.getByText("Ready to work offline").count(), 0);
      for (const send of held) send();
      await page.getByText("Ready to work offline").waitFor();
      await server.stop();
      await context.setOffline(true);
      await page.reload();
      for (const file of [sample("receipt.jpg"), pdfOf(sample("receipt.jpg"))]) {
        await go(page, "#/");
        await pick(page, file);
        assert.match(await readText(page), /CORNER BAKERY/);
      }
    });
  });

  test("without a network says so, and tries again", async () => {
    await visit({}, async (page) => {
      answer = (request, response) => request.url.includes("/models/") && response.destroy();
      await pick(page, sample("photo.png"));
      const alert = page.getByRole("alert");
      await alert.waitFor();
      assert.match(await alert.innerText(), /network can't be reached/);
      answer = () => false;
      await page.getByRole("button", { name: "Try again" }).click();
      assert.match(await readText(page), /Region-based segmentation/);
    });
  });

  test("shows what models take, and frees it", async () => {
    // Where data are to be saved nothing is fetched unasked.
    const init = () => Object.defineProperty(navigator, "connection", { value: { saveData: true } });
    await visit({ start: "#/settings", init }, async (page) => {
      await page.getByRole("button", { name: "Get: Quick, for most text" }).click();
      const free = page.getByRole("button", { name: "Free: Quick, for most text" });
      await free.click();
      await page.getByRole("button", { name: "Get: Quick, for most text" }).waitFor();
      assert.equal(await page.evaluate(async () => (await (await caches.open("maoocr-models")).keys()).length), 0);
    });
  });
});

describe("a server", () => {
  test("reads what the person chose to send, and nothing else", async () => {
    const posts = [];
    answer = (request, response) => {
      if (request.url === "/health") response.writeHead(200, { "content-type": "application/json" }).end("{}");
      else if (request.url === "/api/ocr/recognize-with-requirements") {
        const parts = [];
        request.on("data", (part) => parts.push(part));
        request.on("end", () => {
          posts.push(Buffer.concat(parts).toString("latin1"));
          const line = { text: "from afar", confidence: 0.99, box: [[0, 0], [9, 0], [9, 9], [0, 9]], words: [], vertical: false }; // prettier-ignore
          const plan = { reasons: ["a test"] };
          const document = { text: "from afar", confidence: 0.99, processing_time: 1, selected_models: ["medium"], width: 384, height: 191, language: "auto", device: "server", lines: [line], blocks: [{ kind: "paragraph", lines: [0], box: line.box }], plan }; // prettier-ignore
          response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(document));
        });
      } else return false;
      return true;
    };
    const { context, page, faults } = await open(browser, server.url);
    await pick(page, sample("photo.png"));
    assert.match(await readText(page), /Region-based segmentation/);
    assert.equal(posts.length, 0);
    await go(page, "#/settings");
    await page.getByText("On the server", { exact: true }).click();
    await page.getByText("Right now: on the server (as you chose)").waitFor();
    await page.getByText("High", { exact: true }).first().click();
    await go(page, "#/");
    await page.getByText("Pictures may be sent").waitFor();
    await pick(page, sample("photo.png"));
    assert.equal(await readText(page), "from afar");
    assert.equal(posts.length, 1);
    assert.match(posts[0], /name="image"; filename="picture"\r\nContent-Type: image\/png/);
    assert.match(posts[0], /"accuracy_requirement":"high"/);
    await page.getByText("Details").click();
    await page.getByText("on the server (as you chose)").waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });
});

test("a server that wants a key has it asked for; automatic reads without it", async () => {
  answer = (request, response) => {
    if (request.url === "/health") response.writeHead(200, { "content-type": "application/json" }).end("{}");
    else if (request.method === "POST") {
      const problem = { code: "key_missing", detail: "a key, please" };
      request.resume().on("end", () => response.writeHead(401).end(JSON.stringify(problem)));
    } else return false;
    return true;
  };
  const init = () => Object.defineProperty(navigator, "hardwareConcurrency", { value: 2 });
  await visit({ init }, async (page) => {
    await go(page, "#/settings");
    await page.getByText("On the server", { exact: true }).click();
    await go(page, "#/");
    await page.getByText("Pictures may be sent").waitFor();
    await pick(page, sample("photo.png"));
    assert.match(await page.getByRole("alert").innerText(), /wants a key: enter it in the settings/);
    await go(page, "#/settings");
    await page.getByText("Automatic", { exact: true }).first().click();
    await page.getByText("Right now: on the server").waitFor();
    await go(page, "#/");
    await page.getByText("Pictures may be sent").waitFor();
    await pick(page, sample("photo.png"));
    assert.match(await readText(page), /Region-based segmentation/);
    await page.getByText("Details").click();
    await page.getByText("the server wants another key").waitFor();
  });
});

describe("the app", () => {
  test("tells of a new version, and takes it when told to", async () => {
    await visit({}, async (page) => {
      await page.getByText("Ready to work offline").waitFor();
      const worker = readFileSync(new URL("../../app/dist/sw.js", import.meta.url));
      answer = (request, response) => {
        if (request.url !== "/sw.js") return false;
        response.writeHead(200, { "content-type": "text/javascript", "cache-control": "no-cache" });
        response.end(`${worker}\n// another version`);
        return true;
      };
      await page.evaluate(async () => {
        window.before = true;
        await (await navigator.serviceWorker.ready).update();
      });
      await page.getByText("A new version is ready.").waitFor();
      assert.ok(await page.evaluate(() => window.before), "it isn't forced");
      const { left, bottom } = await page
        .locator(".notice")
        .last()
        .evaluate((e) => e.getBoundingClientRect());
      assert.ok(left < 40 && bottom > 800, "notices are in the corner without buttons");
      // Whoever doesn't want it now finds it in the settings.
      await page.locator(".notice", { hasText: "A new version" }).getByRole("button", { name: "Close" }).click();
      await go(page, "#/settings");
      await page.getByRole("button", { name: "Update now" }).click();
      await page.waitForFunction(() => !window.before);
      await page.getByRole("heading", { name: "Settings" }).waitFor();
    });
  });

  test("asks before it is closed with pictures that wait", async () => {
    await visit({}, async (page) => {
      await pick(page, sample("columns.png"), sample("receipt.jpg"));
      await page.getByRole("button", { name: "Pause" }).click();
      const [dialog] = await Promise.all([page.waitForEvent("dialog"), page.close({ runBeforeUnload: true })]);
      assert.equal(dialog.type(), "beforeunload");
      await dialog.dismiss();
      await page.getByRole("button", { name: "Resume" }).click();
      await page.getByText("2 of 2 pictures").waitFor();
      await page.close({ runBeforeUnload: true });
      await until(() => page.isClosed());
    });
  });

  test("takes a new version only in tabs that have nothing to lose, or where the person says so", async () => {
    await visit({}, async (page, context) => {
      await page.getByText("Ready to work offline").waitFor();
      const [reading, idle] = [await context.newPage(), await context.newPage()];
      for (const tab of [reading, idle]) await tab.goto(server.url);
      await pick(reading, sample("receipt.jpg"));
      await readText(reading);
      const worker = readFileSync(join(DIST, "sw.js"));
      answer = (request, response) => {
        if (request.url !== "/sw.js") return false;
        response.writeHead(200, { "content-type": "text/javascript", "cache-control": "no-cache" });
        response.end(`${worker}\n// another version`);
        return true;
      };
      for (const tab of [page, reading, idle]) await tab.evaluate(() => (window.before = true));
      await page.evaluate(async () => (await navigator.serviceWorker.ready).update());
      await page.getByRole("button", { name: "Update now" }).click();
      for (const tab of [page, idle]) await tab.waitForFunction(() => !window.before);
      await reading.getByText("A new version is ready.").waitFor();
      assert.ok(await reading.evaluate(() => window.before));
      await reading.getByRole("button", { name: "Update now" }).click();
      await reading.waitForFunction(() => !window.before);
    });
  });

  test("opened by a shortcut while it is open shows that screen", async () => {
    const init = () => {
      const launchQueue = { setConsumer: (consumer) => (window.launched = consumer) };
      Object.defineProperty(window, "launchQueue", { value: launchQueue });
    };
    await visit({ init }, async (page) => {
      await page.waitForFunction(() => window.launched);
      await page.evaluate((targetURL) => window.launched({ files: [], targetURL }), `${server.url}#/history`);
      await page.getByRole("heading", { name: "History" }).waitFor();
      await page.evaluate((targetURL) => window.launched({ files: [], targetURL }), server.url);
      assert.equal(new URL(page.url()).hash, "#/history");
    });
  });

  test("takes what other apps share into it", async () => {
    await visit({}, async (page) => {
      await page.evaluate(() => navigator.serviceWorker.ready);
      await page.reload();
      const base64 = readFileSync(sample("photo.png")).toString("base64");
      await page.evaluate(async (content) => {
        const form = document.createElement("form");
        Object.assign(form, { method: "POST", action: "./share", enctype: "multipart/form-data" });
        const input = Object.assign(document.createElement("input"), { type: "file", name: "pictures" });
        const data = new DataTransfer();
        data.items.add(
          new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], "shared.png", { type: "image/png" }),
        );
        input.files = data.files;
        form.append(input);
        document.body.append(form);
        form.submit();
      }, base64);
      await page.getByRole("heading", { name: "shared.png" }).waitFor();
      assert.match(await readText(page), /Region-based segmentation/);
    });
  });

  test("speaks Chinese and English, light and dark, and remembers", async () => {
    await visit({ context: { locale: "zh-CN" } }, async (page) => {
      await page.getByRole("heading", { name: "从图片里取出文字" }).waitFor();
      assert.equal(await page.locator("html").getAttribute("lang"), "zh-Hans");
      await pick(page, sample("photo.png"));
      await page.getByText("详情").click();
      await page.getByText("ppocrv6-tiny-rec：没有安装精确模型").waitFor();
      assert.equal(await page.locator("dd[lang=en]").count(), 0);
      await go(page, "#/settings");
      await page.getByText("English", { exact: true }).click();
      await page.getByText("Dark", { exact: true }).click();
      await page.getByRole("heading", { name: "Settings" }).waitFor();
      await page.reload();
      await page.getByRole("heading", { name: "Settings" }).waitFor();
      assert.equal(await page.evaluate(() => getComputedStyle(document.body).colorScheme), "dark");
    });
  });

  test("is used by keyboard", async () => {
    await visit({}, async (page) => {
      page.on("filechooser", (chooser) => chooser.setFiles(sample("photo.png")));
      await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to content");
      await page.keyboard.press("Enter");
      await page.keyboard.press("Tab");
      assert.match(await page.evaluate(() => document.activeElement.textContent), /Choose pictures/);
      await page.keyboard.press("Enter");
      await page.getByRole("tab", { name: "Lines" }).focus();
      await page.keyboard.press("ArrowRight");
      await page.getByRole("textbox", { name: "All text" }).waitFor();
      await page.getByRole("group", { name: "Picture with its text" }).focus();
      const scale = () => page.locator(".content").evaluate((e) => new DOMMatrix(getComputedStyle(e).transform).a);
      const before = await scale();
      await page.keyboard.press("+");
      assert.ok((await scale()) > before);
    });
  });

  test("shows a screen until the next one is there, and makes each once", async () => {
    const init = () => {
      window.lost = 0;
      addEventListener("DOMContentLoaded", () =>
        new MutationObserver(() => {
          if (document.querySelector("main h1")?.textContent.includes("isn't in the history")) window.lost += 1;
        }).observe(document.body, { childList: true, subtree: true, characterData: true }),
      );
    };
    await visit({ init }, async (page) => {
      await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
      assert.equal(await page.title(), "Text from any picture · MaoOCR");
      await pick(page, sample("receipt.jpg"));
      await readText(page);
      assert.equal(await page.title(), "receipt.jpg · MaoOCR");
      for (const [name, heading] of [
        ["history", "History"],
        ["queue", "Pictures"],
        ["settings", "Settings"],
      ]) {
        await go(page, "#/history");
        await page.getByRole("link", { name: /receipt/ }).click();
        await page.getByRole("tab", { name: "Lines" }).waitFor();
        assert.equal(await page.evaluate(() => document.activeElement.textContent), "receipt.jpg");
        await go(page, `#/${name}`);
        await page.getByRole("heading", { name: heading }).waitFor();
        assert.equal(await page.title(), `${heading} · MaoOCR`);
      }
      assert.equal(await page.evaluate(() => window.lost), 0);
      await go(page, "#/read/nothing");
      await page.getByRole("heading", { name: "isn't in the history" }).waitFor();
      assert.ok(await page.evaluate(() => window.lost > 0), "it would have been seen");
    });
  });

  test("keeps the focus where things go away", async () => {
    await visit({}, async (page) => {
      const focused = () => page.evaluate(() => document.activeElement.ariaLabel ?? document.activeElement.textContent);
      const press = async (name) => {
        await page.getByRole("button", { name, exact: true }).focus();
        await page.keyboard.press("Enter");
      };
      await pick(page, sample("columns.png"));
      await press("Stop");
      await page.getByRole("heading", { name: "Stopped" }).waitFor();
      assert.equal(await focused(), "columns.png");
      await press("Try again");
      await page.getByRole("button", { name: "Stop" }).waitFor();
      assert.equal(await focused(), "columns.png");
      await readText(page);
      await press("Crop and turn");
      await press("Read this part");
      await page.getByRole("dialog").waitFor({ state: "detached" });
      assert.equal(await focused(), "columns.png");
      await readText(page);

      await press("Export");
      await page.getByRole("menuitem", { name: "TXT" }).waitFor();
      for (let i = 0; i < 3; i++) await page.keyboard.press("Tab");
      await page.getByRole("menu").waitFor({ state: "detached" });
      assert.equal(await focused(), "Crop and turn");

      await go(page, "#/");
      await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
      await pick(page, sample("receipt.jpg"), sample("photo.png"));
      await press("Pause");
      await press("Cancel: photo.png");
      await page.getByRole("button", { name: "Try again: photo.png" }).waitFor();
      assert.equal(await focused(), "Try again: photo.png");
      await page.keyboard.press("Enter");
      assert.equal(await focused(), "Cancel: photo.png");
      await press("Resume");
      await page.getByText("3 of 3 pictures").waitFor();

      await go(page, "#/history");
      await press("Delete photo.png");
      await page.getByText("2 pictures", { exact: true }).first().waitFor();
      assert.equal(await focused(), "Delete receipt.jpg");
      await press("Delete all");
      await page.getByRole("dialog").getByRole("button", { name: "Delete all" }).press("Enter");
      await page.getByText("Nothing here yet").waitFor();
      assert.equal(await focused(), "History");
    });
  });

  test("leaves a notice while somebody is at it", async () => {
    // An hour goes by in minutes.
    const init = () => {
      const { setInterval } = window;
      window.setInterval = (run, ms, ...more) => setInterval(run, ms / 10, ...more);
    };
    await visit({ init, context: { permissions: ["clipboard-read", "clipboard-write"] } }, async (page) => {
      await pick(page, sample("photo.png"));
      await page.getByRole("button", { name: "Copy", exact: true }).click();
      const notice = page.locator(".notice", { hasText: "Copied" });
      await notice.hover();
      await page.waitForTimeout(1200);
      assert.ok(await notice.isVisible());
      await notice.getByRole("button").focus();
      await page.mouse.move(600, 20);
      await page.waitForTimeout(1200);
      assert.ok(await notice.isVisible());
      await page.getByRole("tab", { name: "Lines" }).focus();
      await notice.waitFor({ state: "detached" });
    });
  });

  test("needs at most 6 MB over the wire until its first text", async () => {
    const wire = [];
    const host = await serve({ compress: true, sent: (path, bytes) => wire.push({ path, bytes }) });
    const { context, page, faults } = await open(browser, host.url);
    try {
      await pick(page, sample("receipt.jpg"));
      await readText(page);
      const names = wire.map(({ path }) => path);
      assert.ok(
        names.some((name) => name.includes("tiny-rec")),
        `the models are among ${names.join(" ")}`,
      );
      const bytes = wire.reduce((sum, { bytes: more }) => sum + more, 0);
      assert.ok(bytes < 6_000_000, `${bytes} bytes: ${JSON.stringify(wire)}`);
      assert.deepEqual(faults, []);
    } finally {
      await context.close();
      await host.stop();
    }
  });

  test("starts with little script", async () => {
    await visit({}, async (page) => {
      await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
      const { gzipSync } = await import("node:zlib");
      const scripts = await page.evaluate(() =>
        [...document.querySelectorAll("script[src], link[rel=modulepreload]")].map(
          (e) => new URL(e.src || e.href).pathname,
        ),
      );
      const size = scripts.reduce(
        (sum, path) => sum + gzipSync(readFileSync(new URL(`../../app/dist${path}`, import.meta.url))).length,
        0,
      );
      assert.ok(scripts.length > 0 && size < 60_000, `${size} bytes: ${scripts.join(" ")}`);
    });
  });
});

describe("axe finds nothing", () => {
  for (const colorScheme of ["light", "dark"]) {
    for (const [device, size] of [
      ["phone", PHONE],
      ["desktop", {}],
    ]) {
      // prettier-ignore
      test(`${device}, ${colorScheme}`, async () => {
        await visit({ context: { ...size, colorScheme, bypassCSP: true } }, async (page) => {
          await page.addScriptTag({ content: axe.source });
          const check = async (screen) => {
            // Colours that are still changing have no contrast to speak of. A change may be cut off by the next one.
            await page.evaluate(() => Promise.allSettled(document.getAnimations().filter((a) => a.effect.getTiming().iterations === 1).map((a) => a.finished))); // prettier-ignore
            const { violations } = await page.evaluate(() => window.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })); // prettier-ignore
            const told = violations.flatMap(({ id, nodes }) => nodes.map((n) => `${screen}: ${id}: ${n.html.slice(0, 160)} ${n.failureSummary}`));
            assert.deepEqual(told, []);
          };
          await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
          await check("home");
          await go(page, "#/history");
          await page.getByText("Nothing here yet").waitFor();
          await check("empty history");
          await go(page, "#/");
          await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
          await pick(page, sample("receipt.jpg"), sample("broken/bad-crc.png"));
          await page.getByText("1 of 2 pictures").waitFor();
          await check("queue");
          await page.getByRole("link", { name: /bad-crc/ }).click();
          await page.getByRole("alert").waitFor();
          await check("failed");
          await go(page, "#/queue");
          await page.getByRole("link", { name: /receipt/ }).click();
          await page.getByRole("tab", { name: "Text" }).waitFor();
          await check("read");
          await page.getByRole("button", { name: "Crop and turn" }).click();
          await page.getByRole("dialog").waitFor();
          await check("crop");
          await page.keyboard.press("Escape");
          await go(page, "#/history");
          await page.getByRole("searchbox").waitFor();
          await check("history");
          await go(page, "#/settings");
          await page.getByText("for most text").waitFor();
          await check("settings");
          await go(page, "#/camera");
          await page.getByRole("alert").waitFor();
          await check("camera refused");
        });
      });
    }
  }
});
