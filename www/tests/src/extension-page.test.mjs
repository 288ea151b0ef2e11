// A whole page is read by scrolling, in Chromium: every line once, in its order, and the page is as it was.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { launchExtension, PATIENCE, sites } from "./extension.mjs";

let site = null;
let extension = null;
before(async () => {
  site = await sites();
  extension = await launchExtension(site);
});
afterEach(() => assert.deepEqual(extension.faults, []));
after(async () => {
  await extension?.end();
  site?.stop();
});

const numbers = (text) => [...text.matchAll(/^Line (\d+) of the harbour report$/gm)].map(([, n]) => Number(n));
const upTo = (n) => Array.from({ length: n }, (_, i) => i + 1);
const scrolled = () => extension.page.evaluate(() => scrollY);

/** Once the panel says something. */
async function says(pattern) {
  for (const end = Date.now() + PATIENCE; ; await new Promise((next) => setTimeout(next, 50))) {
    const said =
      (await extension.shadow((root) => root.querySelector(".says")?.textContent ?? "").catch(() => "")) ?? "";
    if (pattern.test(said)) return;
    assert.ok(Date.now() < end, said);
  }
}

/** Texts of the history, the newest first. */
async function history() {
  const popup = await extension.context.newPage();
  await popup.goto(`chrome-extension://${extension.id}/popup.html`);
  await popup.locator('main[aria-busy="false"]').waitFor();
  const texts = await popup.locator("li .entry .first").allTextContents();
  await popup.close();
  await extension.page.bringToFront();
  return texts;
}

test("every line is read once, and what stays in view once", async () => {
  const { page, visit, menu, told, shadow } = extension;
  await visit("tall");
  // A page that would go on to its next section by itself.
  await page.evaluate(() => {
    document.querySelectorAll("p:nth-of-type(17n)").forEach((p) => (p.style.scrollSnapAlign = "start"));
    document.documentElement.style.scrollSnapType = "y mandatory";
    scrollTo(0, 333);
  });
  const start = await scrolled();
  await menu("page");
  const text = await told();
  assert.deepEqual(numbers(text), upTo(60), text);
  for (const once of ["Navigation bar", "Second chapter"]) assert.equal(text.split(once).length, 2, text);
  assert.ok(text.indexOf("Line 20 ") < text.indexOf("Second chapter"), text);
  assert.ok(text.indexOf("Second chapter") < text.indexOf("Line 21 "), text);
  // The page is as it was.
  assert.equal(await scrolled(), start);
  assert.equal(await page.evaluate(() => document.documentElement.style.scrollSnapType), "y mandatory");
  // Beside the page's scroll bar.
  const right = await shadow((root) => root.querySelector(".panel").getBoundingClientRect().right);
  assert.ok(right <= (await page.evaluate(() => document.documentElement.clientWidth)) - 10, `${right}`);
  assert.equal(await page.locator("#bar").evaluate((bar) => getComputedStyle(bar).visibility), "visible");
  assert.equal(await page.locator("#bar").evaluate((bar) => bar.style.visibility), "");
  // One reading is one entry.
  const kept = await history();
  assert.equal(kept.length, 1);
  assert.match(kept[0], /Line 1 of the harbour report/);
});

test("Esc stops it, and nothing is left of it", async () => {
  const { page, visit, menu, shadow } = extension;
  await visit("tall");
  await page.evaluate(() => scrollTo(0, 100));
  await menu("page");
  await says(/^Reading screen 2 of \d/);
  assert.notEqual(await scrolled(), 100);
  await page.keyboard.press("Escape");
  for (const end = Date.now() + PATIENCE; (await scrolled()) !== 100; await page.waitForTimeout(50)) {
    assert.ok(Date.now() < end, `at ${await scrolled()}`);
  }
  assert.equal(await shadow(() => 1), null);
  assert.equal(await page.locator("#bar").evaluate((bar) => bar.style.visibility), "");
  assert.equal((await history()).length, 1);
});

test("whoever has enough presses Enter, and has what was read so far", async () => {
  const { page, visit, menu, told } = extension;
  await visit("tall");
  await menu("page");
  await says(/^Reading screen 2 of \d/);
  await page.keyboard.press("Enter");
  const read = numbers(await told());
  assert.ok(read.length >= 10 && read.length < 60, read.join());
  assert.deepEqual(read, upTo(read.length));
});

test("a page that scrolls back is read as far as it goes, and that is said", async () => {
  const { page, visit, menu, told, shadow } = extension;
  await visit("tall");
  await page.evaluate(() => addEventListener("scroll", () => scrollY > 700 && scrollTo(0, 100)));
  await menu("page");
  const read = numbers(await told());
  assert.ok(read.length >= 15 && read.length < 60, read.join());
  assert.deepEqual(read, upTo(read.length));
  assert.match(await shadow((root) => root.querySelector(".note").textContent), /doesn't scroll any further/);
  assert.equal(await page.locator("#bar").evaluate((bar) => bar.style.visibility), "");
});

test("a part of the page that scrolls by itself", async () => {
  const { page, visit, menu, told } = extension;
  await visit("within");
  await menu("page");
  assert.deepEqual(numbers(await told()), upTo(30));
  assert.equal(await page.locator("#it").evaluate((it) => it.scrollTop), 0);
});

test("more captures are waited for than the browser makes in a second", async () => {
  const { visit, menu, told } = extension;
  await visit("empty");
  await menu("page");
  assert.deepEqual(numbers(await told()), [1]);
});
