// What a device and its browser may lack.

import assert from "node:assert/strict";
import { createReadStream, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import { appTests, drawn, go, keptTexts, saved, until } from "./app.mjs";
import { choose, pick, readText } from "./browser.mjs";
import { pdfOf, sample } from "./samples.mjs";
import { DIST } from "./serve.mjs";

const app = appTests();

describe("the device", () => {
  test("without room for models reads all the same", async () => {
    const init = () => {
      Cache.prototype.put = () => Promise.reject(new DOMException("full", "QuotaExceededError"));
      IDBObjectStore.prototype.put = () => {
        throw new DOMException("full", "QuotaExceededError");
      };
    };
    await app.visit({ init }, async (page) => {
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
    await app.visit({ init }, async (page) => {
      await pick(page, sample("photo.png"));
      assert.match(await readText(page), /Region-based segmentation/);
      await page.getByText("keeps no data for this site").waitFor();
    });
  });

  test("is made ready to read without a network before there is a picture, and says so no earlier", async () => {
    const held = [];
    app.answer = (request, response) =>
      request.url.startsWith("/models/") &&
      Boolean(held.push(() => createReadStream(join(DIST, request.url)).pipe(response)));
    await app.visit({}, async (page, context) => {
      await page.evaluate(() => navigator.serviceWorker.ready);
      await until(() => held.length === 3);
      await page.waitForTimeout(1000);
      assert.equal(await page.getByText("Ready to work offline").count(), 0);
      for (const send of held) send();
      await page.getByText("Ready to work offline").waitFor();
      await app.server.stop();
      await context.setOffline(true);
      await page.reload();
      await go(page, "#/");
      await pick(page, sample("receipt.jpg"));
      assert.match(await readText(page), /CORNER BAKERY/);
      // What PDFs need isn't part of a first visit; it says so.
      await go(page, "#/");
      await pick(page, pdfOf(sample("receipt.jpg")));
      await page
        .getByRole("alert")
        .getByText(/reach the network/)
        .waitFor();
    });
  });

  test("without a network says so, and tries again", async () => {
    await app.visit({}, async (page) => {
      app.answer = (request, response) => request.url.includes("/models/") && response.destroy();
      await pick(page, sample("photo.png"));
      const alert = page.getByRole("alert");
      await alert.waitFor();
      assert.match(await alert.innerText(), /reach the network/);
      app.answer = () => false;
      await page.getByRole("button", { name: "Try again" }).click();
      assert.match(await readText(page), /Region-based segmentation/);
    });
  });

  test("shows what models take, and frees it", async () => {
    // Where data are to be saved nothing is fetched unasked.
    const init = () => Object.defineProperty(navigator, "connection", { value: { saveData: true } });
    await app.visit({ start: "#/settings", init }, async (page) => {
      await page.getByText("Advanced", { exact: true }).click();
      await page.getByRole("button", { name: "Download: Fast, for most text" }).click();
      const free = page.getByRole("button", { name: "Delete: Fast, for most text" });
      await free.click();
      await page.getByRole("button", { name: "Download: Fast, for most text" }).waitFor();
      assert.equal(await page.evaluate(async () => (await (await caches.open("maoocr-models")).keys()).length), 0);
    });
  });
});

describe("a browser's private window", () => {
  test("that can't keep blobs keeps pictures, texts and the way back", async () => {
    // As WebKit's: the request fails, and with it the transaction.
    const init = () => {
      const put = IDBObjectStore.prototype.put;
      const holds = (value) =>
        value instanceof Blob ||
        (value && typeof value === "object" && !ArrayBuffer.isView(value) && Object.values(value).some(holds));
      IDBObjectStore.prototype.put = function (value, ...key) {
        if (holds(value)) throw new DOMException("Error preparing Blob/File data", "UnknownError");
        return put.call(this, value, ...key);
      };
    };
    await app.visit({ init }, async (page) => {
      await pick(page, sample("receipt.jpg"));
      const text = await readText(page);
      await until(async () => (await keptTexts(page)).length === 1);
      await page.reload();
      assert.equal(await readText(page), text);
      await drawn(page);
      await go(page, "#/history");
      await page.locator(".thumbnail img").waitFor();
    });
  });

  test("whose storage never answers shows an empty history, and reads", async () => {
    const init = () => {
      Object.defineProperty(IDBObjectStore.prototype, "index", {
        value: () => ({ openCursor: () => new EventTarget() }),
      });
    };
    await app.visit({ init }, async (page) => {
      await go(page, "#/history");
      await page.getByText("keeps no data for this site").waitFor();
    });
  });
});

test("persistent storage is asked for when something is kept, not before", async () => {
  const init = () => {
    window.asked = 0;
    navigator.storage.persist = async () => ((window.asked += 1), true);
  };
  await app.visit({ init }, async (page) => {
    await page.getByText("Ready to work offline").waitFor();
    assert.equal(await page.evaluate(() => window.asked), 0);
    await pick(page, sample("photo.png"));
    await readText(page);
    await until(() => page.evaluate(() => window.asked === 1));
  });
});

test("copying falls back where there is no clipboard, and says why where nothing works", async () => {
  const init = () => {
    Object.defineProperty(navigator, "clipboard", { value: undefined });
    window.copied = null;
    document.execCommand = () => ((window.copied = document.activeElement.value), window.works);
    Object.defineProperty(window, "isSecureContext", { value: false });
    window.works = true;
  };
  await app.visit({ init }, async (page) => {
    await pick(page, sample("photo.png"));
    const text = await readText(page);
    await page.getByRole("button", { name: "Copy", exact: true }).click();
    await page.getByText("Copied").waitFor();
    assert.equal(await page.evaluate(() => window.copied), text);
    await page.evaluate(() => (window.works = false));
    await page.getByRole("button", { name: "Copy", exact: true }).click();
    await page.getByText("needs a secure address").waitFor();
  });
});

test("a HEIC photo that the browser can't decode says what to do", async () => {
  await app.visit({}, async (page) => {
    const buffer = Buffer.from("\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\0", "latin1");
    await pick(page, { name: "IMG_0001.heic", mimeType: "image/heic", buffer });
    assert.match(await page.getByRole("alert").innerText(), /HEIC.*Most Compatible/s);
  });
});

test("a history of the first version is still there", async () => {
  // A page of the site that isn't the app.
  app.answer = (request, response) => request.url === "/plain" && Boolean(response.end("<title>plain</title>"));
  await app.visit({ start: "plain" }, async (page) => {
    const base64 = readFileSync(sample("receipt.jpg")).toString("base64");
    await page.evaluate(async (content) => {
      const opening = indexedDB.open("maoocr", 1);
      opening.onupgradeneeded = () => {
        const db = opening.result;
        db.createObjectStore("entries", { keyPath: "id" }).createIndex("created", "created");
        for (const name of ["documents", "pictures"]) db.createObjectStore(name, { keyPath: "id" });
      };
      await new Promise((done) => (opening.onsuccess = done));
      const blob = new Blob([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], { type: "image/jpeg" });
      const change = opening.result.transaction(["entries", "documents", "pictures"], "readwrite");
      const box = [[10, 10], [90, 10], [90, 30], [10, 30]]; // prettier-ignore
      const line = {
        text: "an old text",
        confidence: 0.99,
        box,
        words: [{ text: "an old text", confidence: 0.99, box }],
        vertical: false,
      };
      const document = {
        text: "an old text",
        confidence: 0.99,
        processing_time: 1,
        selected_models: [],
        id: "d",
        width: 768,
        height: 1070,
        turn: 0,
        device: "cpu",
        language: "auto",
        lines: [line],
        blocks: [],
        plan: { reasons: [] },
        timings: {},
      };
      for (const [id, number] of [
        ["a", 1],
        ["b", 2],
      ]) {
        change.objectStore("entries").put({
          id,
          name: "old.pdf",
          file: "f",
          page: { number, of: 2 },
          created: 9 - number,
          text: "an old text",
          lines: 1,
          thumbnail: blob,
        });
        change.objectStore("documents").put({ id, document, decision: { place: "device", reason: "chosen" } });
        change.objectStore("pictures").put({ id, blob });
      }
      await new Promise((done) => (change.oncomplete = done));
      opening.result.close();
    }, base64);
    await page.goto(`${app.server.url}#/history`);
    await page.getByRole("button", { name: /pages?: old.pdf$/ }).click();
    await page.getByRole("link", { name: /^2 / }).click();
    assert.equal(await readText(page), "an old text");
    await drawn(page);
  });
});

test("the history is exported, deleted, and imported again", async () => {
  await app.visit({}, async (page) => {
    await pick(page, sample("receipt.jpg"));
    const text = await readText(page);
    await until(async () => (await keptTexts(page)).length === 1);
    await go(page, "#/history");
    const { content } = await saved(page, () => choose(page, "More", "Export history"));
    await choose(page, "More: receipt.jpg", "Rename");
    await page.getByRole("textbox", { name: "Name" }).fill("Bakery");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("link", { name: /^Bakery/ }).waitFor();
    await choose(page, "More: Bakery", "Delete");
    await page.getByText("Nothing here yet").waitFor();
    const importing = (buffer) =>
      page.setInputFiles('input[accept*="zip"]', { name: "history.zip", mimeType: "application/zip", buffer });
    await importing(Buffer.from("no zip"));
    await page.getByText("isn’t a history exported from MaoOCR").waitFor();
    await importing(content);
    await page.getByRole("link", { name: /^receipt\.jpg/ }).click();
    assert.equal(await readText(page), text);
    await drawn(page);
  });
});
