// The app's main way in each engine: opened, a photo, a PDF and a Chinese page read, corrected, exported, found in the
// history, opened without a network; and in a private window.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ENGINES } from "./engines.mjs";
import { commandText, pdfOf, sample } from "./samples.mjs";
import { serve } from "./serve.mjs";

/** Until the function says something in the page, ms. */
const PATIENCE = 600_000;

async function until(browser, work, ...given) {
  for (const end = Date.now() + PATIENCE; ;) {
    // A page that is loading has nothing to run in.
    const value = await browser.run(work, ...given).catch(() => null);
    if (value) return value;
    if (Date.now() > end) {
      const seen = await browser.run(() => document.body.innerText.slice(0, 1500)).catch(String);
      assert.fail(`never: ${work} (${given.join()}); seen: ${seen}`);
    }
    await new Promise((next) => setTimeout(next, 150));
  }
}

const text = (browser) => until(browser, () => document.querySelector(".flow textarea")?.value);
const says = (browser, words) => until(browser, (wanted) => document.body.innerText.includes(wanted), words);

async function home(browser) {
  await browser.run(() => void (location.hash = "#/"));
  await until(browser, () => document.querySelector(".home input[type=file]") !== null);
}

/** How often there is something in a store of the history that says so. */
const keeps = (browser, words) =>
  until(
    browser,
    (wanted) =>
      new Promise((done) => {
        const opening = indexedDB.open("maoocr");
        opening.onerror = () => done(0);
        opening.onsuccess = () => {
          const all = opening.result.transaction("documents").objectStore("documents").getAll();
          all.onsuccess = () => {
            opening.result.close();
            done(all.result.filter(({ document }) => document.text.includes(wanted)).length);
          };
        };
      }),
    words,
  );

for (const { name, start, there } of ENGINES) {
  // On CI all three are there: xtask installs them.
  const skip = there || process.env.CI ? false : `${name} isn't installed`;

  test(`${name} reads, keeps and goes on without a network`, { skip }, async () => {
    const server = await serve();
    const browser = await start(false);
    try {
      await browser.open(server.url);
      await home(browser);
      await browser.files([sample("receipt.jpg")]);
      const read = await text(browser);
      assert.equal(read, commandText(sample("receipt.jpg")));

      // Corrected, as text is.
      await browser.run(() => {
        const field = document.querySelector(".flow textarea");
        field.value = field.value.replace("CORNER BAKERY", "CORNER SHOP");
        field.dispatchEvent(new Event("input", { bubbles: true }));
        field.dispatchEvent(new Event("change", { bubbles: true }));
      });
      await keeps(browser, "CORNER SHOP");
      // Exported: what would be saved.
      await browser.run(() => {
        const make = URL.createObjectURL;
        URL.createObjectURL = (blob) => {
          void blob.text().then((content) => (window.saved = content));
          return make.call(URL, blob);
        };
        document.querySelector('.bar [aria-label="Export"]').click();
      });
      await until(browser, () => {
        const item = [...document.querySelectorAll("[role=menuitem]")].find(
          (i) => i.textContent.trim() === "Plain text",
        );
        item?.click();
        return item !== undefined;
      });
      assert.equal(await until(browser, () => window.saved), `${read.replace("CORNER BAKERY", "CORNER SHOP")}\n`);

      await home(browser);
      await browser.files([pdfOf(sample("receipt.jpg"), sample("receipt.jpg"))]);
      await says(browser, "2 of 2 pictures");
      await home(browser);
      await browser.files([sample("chinese.jpg")]);
      assert.equal(await text(browser), commandText(sample("chinese.jpg")));
      await keeps(browser, "希望是本无所谓有");

      await browser.run(() => void (location.hash = "#/history"));
      await says(browser, "scan.pdf");
      assert.equal(await until(browser, () => document.querySelectorAll(".thumbnail img").length), 3);

      const worker = await browser.run(() => "serviceWorker" in navigator);
      assert.ok(worker, "a service worker keeps the app");
      await until(
        browser,
        async () => (await navigator.serviceWorker.getRegistration())?.active?.state === "activated",
      );
      await until(browser, async () => (await (await caches.open("maoocr-models")).keys()).length >= 3);
      await server.stop();
      await browser.reload();
      await says(browser, "scan.pdf");
      await home(browser);
      await browser.files([sample("photo.png")]);
      assert.match(await text(browser), /Region-based segmentation/);
    } finally {
      await browser.end();
      await server.stop().catch(() => undefined);
    }
  });

  if (name === "Chromium") continue;

  test(`${name}'s private window keeps the history while it is open`, { skip }, async () => {
    const server = await serve();
    const browser = await start(true);
    try {
      await browser.open(server.url);
      await home(browser);
      await browser.files([sample("receipt.jpg")]);
      const read = await text(browser);
      await keeps(browser, "CORNER BAKERY");
      await browser.reload();
      assert.equal(await text(browser), read);
      await until(browser, () => document.querySelector(".frame canvas.whole")?.width > 1);
      await browser.run(() => void (location.hash = "#/history"));
      await until(browser, () => document.querySelector(".thumbnail img")?.naturalWidth > 0);
    } finally {
      await browser.end();
      await server.stop();
    }
  });
}
