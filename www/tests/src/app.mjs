// What tests of the app have in common: a server of its own for each, a watched page, what is kept and what is saved.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, beforeEach } from "node:test";

import { choose, launch, open } from "./browser.mjs";
import { serve } from "./serve.mjs";

export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

/** Chromium for a file's tests. `app.answer`, what the server does before it looks for a file, may be set by each. */
export function appTests() {
  const app = { browser: null, server: null, answer: () => false, sent: [], visit };
  before(async () => {
    app.browser = await launch();
  });
  after(() => app.browser.close());
  beforeEach(async () => {
    app.answer = () => false;
    app.sent = [];
    app.server = await serve({ answer: (...call) => app.answer(...call), sent: (path) => app.sent.push(path) });
  });
  afterEach(() => app.server.stop());
  return app;

  /** Opens the app, does `work`, and checks that nothing went wrong behind its back. */
  async function visit(options, work) {
    const { context, page, faults } = await open(app.browser, app.server.url, options);
    try {
      await work(page, context);
      assert.deepEqual(faults, []);
    } catch (thrown) {
      // What it looked like, for whoever wants to know.
      const folder = process.env.MAOOCR_SHOTS;
      if (folder) await page.screenshot({ path: join(folder, `${Date.now()}.png`) }).catch(() => undefined);
      if (faults.length > 0) console.error(faults);
      throw thrown;
    } finally {
      await context.close();
    }
  }
}

export const go = (page, hash) => page.evaluate((to) => (location.hash = to), hash);

export const home = async (page) => {
  await go(page, "#/");
  await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
};

export async function saved(page, press) {
  const [download] = await Promise.all([page.waitForEvent("download"), press()]);
  return { name: download.suggestedFilename(), content: await readFile(await download.path()) };
}

export async function exported(page, format, menu = "Export") {
  const { name, content } = await saved(page, () => choose(page, menu, format));
  return { name, text: content.toString("utf8") };
}

/** What a store of the history holds. */
export const kept = (page, store) =>
  page.evaluate(
    (name) =>
      new Promise((resolve) => {
        const opening = indexedDB.open("maoocr");
        opening.onsuccess = () => {
          const db = opening.result;
          if (!db.objectStoreNames.contains(name)) return (db.close(), resolve([]));
          const all = db.transaction(name).objectStore(name).getAll();
          all.onsuccess = () => {
            db.close();
            resolve(all.result);
          };
        };
      }),
    store,
  );

/** Texts in the history. */
export const keptTexts = async (page) => (await kept(page, "documents")).map(({ document }) => document.text);

export async function until(condition, ms = 120_000) {
  for (const end = Date.now() + ms; !(await condition()); await new Promise((next) => setTimeout(next, 50)))
    assert.ok(Date.now() < end, `never: ${condition}`);
}

/** Of a picture, RGB. */
export const pixelsOf = (page, path) =>
  page.evaluate(async (base64) => {
    const image = await createImageBitmap(new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))]));
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, image.width, image.height);
    return { width: image.width, height: image.height, data: [...data.filter((_, i) => i % 4 !== 3)] };
  }, readFileSync(path).toString("base64"));

/** The picture is seen: drawn, as large as it should be. */
export const drawn = (page) => page.waitForFunction(() => document.querySelector(".frame canvas.whole")?.width > 1);
