// The scan way: a fake camera shows a sheet at an angle, half in a shadow.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { saved, until } from "./app.mjs";
import { choose, launch, open, readText } from "./browser.mjs";
import { sample } from "./samples.mjs";
import { serve } from "./serve.mjs";
import { sheetOnDesk } from "./video.mjs";

const LETTER = `<!doctype html><meta charset="utf-8"><style>
  body { font: 21px/1.6 "DejaVu Sans", sans-serif; margin: 70px 80px; color: #111; background: #fff }
  h1 { font-size: 34px }
</style><h1>Notice to all tenants</h1>
<p>The water will be turned off on Tuesday between nine and eleven in the morning.</p>
<p>Please fill a kettle before that, and do not leave any tap open.</p>
<p>The caretaker can be reached under 0151 555 0199 at any time.</p>`;

let browser;
let server;
let corners;

before(async () => {
  server = await serve();
  const plain = await launch();
  const desk = await sheetOnDesk(plain, LETTER);
  ({ corners } = desk);
  await plain.close();
  browser = await launch(
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    `--use-file-for-fake-video-capture=${desk.file}`,
  );
});

after(async () => {
  await browser.close();
  await server.stop();
});

const context = { permissions: ["camera"] };

async function scanning(page) {
  await page.getByText("Scan", { exact: true }).click();
  await page.locator("polygon.sheet").waitFor();
}

const shoot = (page) => page.getByRole("button", { name: "Take picture" }).click();
const sheetSeen = (page, n) =>
  page
    .getByRole("listitem")
    .filter({ hasText: `Page ${n}` })
    .locator(".sheet img");

/** Size and pixels of a sheet that was made flat. */
const flat = (page, n) =>
  sheetSeen(page, n).evaluate(async (image) => {
    await image.decode();
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    const drawing = canvas.getContext("2d");
    drawing.drawImage(image, 0, 0);
    const { width, height } = canvas;
    const at = (x, y) => drawing.getImageData(Math.round(x * width), Math.round(y * height), 1, 1).data[1];
    return { width, height, margins: [at(0.03, 0.03), at(0.97, 0.03), at(0.97, 0.97), at(0.03, 0.97), at(0.96, 0.5)] };
  });

test("the sheet is found where it lies", async () => {
  const opened = await open(browser, server.url, { context, start: "#/camera" });
  const { page, faults } = opened;
  await scanning(page);
  let away = Infinity;
  await until(async () => {
    const found = (await page.locator("polygon.sheet").getAttribute("points"))?.split(" ").map((at) => at.split(",").map(Number)); // prettier-ignore
    if (found?.length === 4) away = Math.max(...found.map(([x, y], i) => Math.hypot(x - corners[i][0], y - corners[i][1]))); // prettier-ignore
    return away < 16;
  }, 20_000);
  assert.deepEqual(faults, []);
  await opened.context.close();
});

test("sheets are straightened, cleaned, put in order and become one searchable PDF", async () => {
  const opened = await open(browser, server.url, { context, start: "#/camera" });
  const { page, faults } = opened;
  await scanning(page);
  await shoot(page);
  await page.getByRole("link", { name: "1 page", exact: true }).waitFor();
  await shoot(page);
  await page.getByRole("link", { name: "2 pages", exact: true }).click();
  await sheetSeen(page, 2).waitFor();

  // Upright, in A4's proportions, its paper white all over: also where the shadow was.
  await until(async () => (await page.locator("[aria-busy=true]").count()) === 0);
  const first = await flat(page, 1);
  assert.ok(Math.abs(first.height / first.width / Math.SQRT2 - 1) < 0.03, JSON.stringify(first));
  for (const grey of first.margins) assert.ok(grey > 225, JSON.stringify(first));

  // Black and white; then in another order, with another sheet in the first one's place.
  await page.getByText("Black and white").click();
  await until(async () => (await page.locator("[aria-busy=true]").count()) === 0);
  for (const grey of (await flat(page, 1)).margins) assert.ok(grey > 250);
  await page.setInputFiles('input[type="file"]', [sample("receipt.jpg")]);
  await sheetSeen(page, 3).waitFor();
  await until(async () => (await page.locator("[aria-busy=true]").count()) === 0);
  await page.getByRole("button", { name: "Move up: 3" }).click();
  await page.getByRole("button", { name: "Delete: 1" }).click();
  await page.getByRole("button", { name: "Retake: 2" }).click();
  await page.locator("polygon.sheet").waitFor();
  await shoot(page);
  await page.getByRole("heading", { name: "Scan", exact: true }).waitFor();
  await until(async () => (await page.locator("[aria-busy=true]").count()) === 0);
  assert.equal(await page.locator("ol > li").count(), 2);

  await opened.context.setOffline(true);
  await page.getByRole("button", { name: "Make PDF" }).click();
  await page.getByText("2 of 2 pictures").waitFor();
  await page.locator("li a").nth(1).click();
  assert.match(await readText(page), /off on Tuesday between nine and\s+eleven in the morning/);
  const { name, content } = await saved(page, () => choose(page, "Export 2 pages", "Searchable PDF"));
  assert.match(name, /\.pdf$/);
  const text = textOfPdf(content);
  assert.match(text, /CORNER BAKERY[^]*\f[^]*off on Tuesday/);
  assert.deepEqual(faults, []);
  await opened.context.close();
});

test("corners are moved by hand, with the keyboard too", async () => {
  const opened = await open(browser, server.url, { context, start: "#/camera" });
  const { page, faults } = opened;
  await scanning(page);
  await shoot(page);
  await page.getByRole("link", { name: "1 page", exact: true }).click();
  await sheetSeen(page, 1).waitFor();
  const before = await flat(page, 1);
  await page.getByRole("button", { name: "Corners: 1" }).click();
  const corner = page.getByRole("button", { name: "Bottom right" });
  await corner.waitFor();
  for (let n = 0; n < 4; n++) await corner.press("Shift+ArrowUp");
  await page.getByRole("button", { name: "Apply" }).click();
  await until(async () => (await flat(page, 1)).height !== before.height);
  await page.getByRole("button", { name: "Rotate right: 1" }).click();
  await until(async () => {
    const { width, height } = await flat(page, 1);
    return width > height;
  });
  await page.getByRole("button", { name: "Discard scan" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Discard scan" }).click();
  await page.getByText("Take a picture of each sheet").waitFor();
  assert.deepEqual(faults, []);
  await opened.context.close();
});

/** What poppler finds in a PDF; its pages end with form feeds. */
function textOfPdf(content) {
  const path = join(mkdtempSync(join(tmpdir(), "maoocr-scan-")), "made.pdf");
  writeFileSync(path, content);
  return execFileSync("pdftotext", ["-q", path, "-"], { encoding: "utf8" });
}
