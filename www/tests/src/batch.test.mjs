// Several pictures, and the pages of files.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";

import { unzipSync } from "fflate";

import { appTests, drawn, go, home, kept, pixelsOf, saved, until } from "./app.mjs";
import { choose, pick, readText } from "./browser.mjs";
import { commandText, pdfOf, sample, tiffOf } from "./samples.mjs";

const app = appTests();

describe("several pictures", () => {
  test("wait in a list: paused, cancelled, retried, exported", async () => {
    await app.visit({}, async (page) => {
      await pick(page, sample("columns.png"), sample("receipt.jpg"), sample("photo.png"), sample("broken/bad-crc.png"));
      await page.getByRole("button", { name: "Pause" }).click();
      await page.getByRole("button", { name: "Cancel: receipt.jpg" }).click();
      await page.getByRole("button", { name: "Try again: receipt.jpg" }).waitFor();
      await page.getByRole("button", { name: "Resume" }).click();
      await page.getByText("1 failed").waitFor();
      await page.getByRole("button", { name: "Try again: receipt.jpg" }).click();
      await page.getByText("3 of 4 pictures").waitFor();
      const { name, content } = await saved(page, () => page.getByRole("button", { name: "Export all (ZIP)" }).click());
      assert.equal(name, "maoocr.zip");
      const files = unzipSync(content);
      assert.deepEqual(
        Object.keys(files).sort(),
        ["columns", "photo", "receipt"].flatMap((stem) => ["json", "md", "txt"].map((kind) => `${stem}.${kind}`)),
      );
      assert.equal(new TextDecoder().decode(files["receipt.txt"]), `${commandText(sample("receipt.jpg"))}\n`);
      // What was cancelled and tried again is kept like the rest.
      const names = async () => (await kept(page, "entries")).map((entry) => entry.name).sort();
      await until(async () => (await names()).join() === "columns.png,photo.png,receipt.jpg");
    });
  });

  test("come as the pages of a PDF", async () => {
    await app.visit({}, async (page) => {
      await pick(page, pdfOf(sample("receipt.jpg"), sample("chinese.jpg")));
      await page.getByText("2 of 2 pictures").waitFor();
      await page.getByRole("link", { name: "scan.pdf · 2" }).click();
      await page.getByText("Page 2 of 2").waitFor();
      assert.match(await readText(page), /希望是本无所谓有/);
    });
  });

  test("come as the pages of a TIFF", async () => {
    await app.visit({}, async (page) => {
      const pages = ["photo.png", "dark.png"].map((name) => pixelsOf(page, sample(name)));
      const buffer = tiffOf(await Promise.all(pages));
      await pick(page, { name: "fax.tif", mimeType: "image/tiff", buffer });
      await page.getByText("2 of 2 pictures").waitFor();
      await page.getByRole("link", { name: "fax.tif · 2" }).click();
      assert.equal(await readText(page), commandText(sample("dark.png")));
      await drawn(page);
    });
  });

  test("of one file stay together, in their order", async () => {
    const [first, second, third] = ["receipt.jpg", "chinese.jpg", "rotated.jpg"].map((name) => sample(name));
    await app.visit({ context: { permissions: ["clipboard-read", "clipboard-write"] } }, async (page) => {
      await pick(page, sample("photo.png"), pdfOf(first, second, third), sample("dark.png"));
      await page.getByText("5 of 5 pictures").waitFor();
      const { content } = await saved(page, () => page.getByRole("button", { name: "Export all (ZIP)" }).click());
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

      const inHistory = ["dark.png", "scan.pdf", "photo.png"];
      await go(page, "#/history");
      await page.getByText("5 pictures", { exact: true }).first().waitFor();
      assert.deepEqual(await page.locator(".name").allInnerTexts(), inHistory);
      // Reading one again leaves it where it is.
      await page.reload();
      await page.getByRole("button", { name: /pages: scan.pdf$/ }).click();
      await page.getByRole("link", { name: /^2 / }).click();
      await page.getByText("Page 2 of 3").waitFor();
      await drawn(page);
      await choose(page, "More", "Crop and rotate");
      await page.getByRole("button", { name: "Read this part" }).click();
      await readText(page);
      await go(page, "#/history");
      await page.getByText("5 pictures", { exact: true }).first().waitFor();
      assert.deepEqual(await page.locator(".name").allInnerTexts(), inHistory);
    });
  });
});

test("the thread for documents ends when nothing is asked of it, whatever became of the pages, and starts again", async () => {
  await app.visit({}, async (page) => {
    const open = () => page.workers().filter((worker) => worker.url().includes("documents-worker")).length;
    await go(page, "#/settings");
    await page.getByText("Keep pictures and text in the history").click();
    await go(page, "#/");
    await pick(page, pdfOf(...["receipt.jpg", "chinese.jpg", "vertical.jpg"].map(sample)));
    await page.getByText("1 of 3 pictures").waitFor();
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByRole("button", { name: "Cancel the rest" }).click();
    assert.equal(open(), 1);
    await until(() => open() === 0);
    await page.getByRole("link", { name: "scan.pdf · 1" }).click();
    await drawn(page);
    assert.equal(open(), 1);
    assert.match(await readText(page), /CORNER BAKERY/);
  });
});

test("a PDF that couldn't be opened is opened when it is tried again", async () => {
  app.answer = (request, response) => /\/assets\/documents-worker-/.test(request.url) && response.destroy();
  await app.visit({}, async (page) => {
    await pick(page, pdfOf(sample("receipt.jpg"), sample("chinese.jpg")));
    const alert = page.getByRole("alert");
    assert.match(await alert.innerText(), /reach the network/);
    app.answer = () => false;
    await alert.getByRole("button", { name: "Try again" }).click();
    await page.getByText("2 of 2 pictures").waitFor();
    assert.deepEqual(await page.locator(".name").allInnerTexts(), ["scan.pdf · 1", "scan.pdf · 2"]);
  });
});

describe("a batch", () => {
  test("goes on by itself after its page was closed, and keeps a PDF once", async () => {
    const pdf = pdfOf(...["receipt.jpg", "chinese.jpg", "photo.png"].map(() => sample("receipt.jpg")));
    await app.visit({}, async (page, context) => {
      await pick(page, pdf, sample("photo.png"));
      await page.getByRole("button", { name: "Pause" }).click();
      await until(async () => (await kept(page, "files")).length === 2);
      const waiting = (await kept(page, "waiting")).length;
      assert.ok(waiting >= 2, `${waiting} wait`);
      await page.close();
      const next = await context.newPage();
      next.setDefaultTimeout(120_000);
      await next.goto(app.server.url);
      await next.getByText(/Continuing with \d pictures? from last time/).waitFor();
      await until(async () => (await kept(next, "waiting")).length === 0);
      assert.equal((await kept(next, "entries")).length, 4);
      const files = await next.evaluate(
        () =>
          new Promise((done) => {
            const opening = indexedDB.open("maoocr");
            opening.onsuccess = () => {
              const all = opening.result.transaction("files").objectStore("files").getAll();
              all.onsuccess = () => done(all.result.map(({ name, bytes }) => [name, bytes.byteLength]).sort());
            };
          }),
      );
      assert.deepEqual(files, [
        ["photo.png", readFileSync(sample("photo.png")).length],
        ["scan.pdf", readFileSync(pdf).length],
      ]);
    });
  });

  test("that is read sooner than it is stored is kept", async () => {
    // The first bytes asked for are those to be stored.
    const init = () => {
      const { arrayBuffer } = Blob.prototype;
      const held = new Promise((letGo) => (window.letGo = letGo));
      window.asked = 0;
      Blob.prototype.arrayBuffer = async function () {
        if (this instanceof File && window.asked++ === 0) await held;
        return arrayBuffer.call(this);
      };
    };
    await app.visit({ init }, async (page) => {
      await pick(page, sample("receipt.jpg"));
      await readText(page);
      await page.evaluate(() => window.letGo());
      await until(async () => (await kept(page, "entries")).length === 1);
      assert.equal((await kept(page, "files")).length, 1);
    });
  });

  test("isn't mixed with what was read before", async () => {
    await app.visit({}, async (page) => {
      await pick(page, sample("receipt.jpg"));
      await readText(page);
      await until(async () => (await kept(page, "entries")).length === 1);
      await home(page);
      await pick(page, sample("photo.png"), sample("dark.png"));
      await page.getByText("2 of 2 pictures").waitFor();
      const { content } = await saved(page, () => page.getByRole("button", { name: "Export all (ZIP)" }).click());
      const names = Object.keys(unzipSync(content)).filter((name) => name.endsWith(".txt"));
      assert.deepEqual(names.sort(), ["dark.txt", "photo.txt"]);
    });
  });

  test("is seen on the first screen as it is read", async () => {
    await app.visit({}, async (page) => {
      await pick(page, sample("receipt.jpg"), sample("photo.png"));
      await home(page);
      for (const name of ["receipt.jpg", "photo.png"])
        await page.getByRole("link", { name: new RegExp(name) }).waitFor();
    });
  });
});
