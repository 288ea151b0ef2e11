// The app looks as it is shown in docs/screens, but for what changes from run to run.

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { launch } from "./browser.mjs";
import { KEPT, shoot } from "./screens.mjs";

/** Side of the squares that are compared, px: fonts of another version move text by less. */
const SQUARE = 16;
/** Levels of 255 by which the mean of a square may differ. */
const LEVELS = 20;
/** Share of squares that may differ by more: times and dates do. */
const SHARE = 0.02;

/** The share of squares in which two pictures differ, in any colour; 1 if they are of different sizes. */
const difference = (page, one, other) =>
  page.evaluate(
    async ({ pictures, square, levels }) => {
      const read = async (base64) => {
        const image = await createImageBitmap(new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))]));
        const [width, height] = [Math.ceil(image.width / square), Math.ceil(image.height / square)];
        const canvas = new OffscreenCanvas(image.width, image.height);
        const context = canvas.getContext("2d");
        context.drawImage(image, 0, 0);
        const { data } = context.getImageData(0, 0, image.width, image.height);
        const sums = new Float64Array(width * height * 3);
        const counts = new Float64Array(width * height);
        for (let y = 0; y < image.height; y++)
          for (let x = 0; x < image.width; x++) {
            const at = Math.floor(y / square) * width + Math.floor(x / square);
            counts[at]++;
            for (let c = 0; c < 3; c++) sums[at * 3 + c] += data[(y * image.width + x) * 4 + c];
          }
        return {
          size: [image.width, image.height].join(),
          means: sums.map((sum, i) => sum / counts[Math.floor(i / 3)]),
        };
      };
      const [a, b] = await Promise.all(pictures.map(read));
      if (a.size !== b.size) return 1;
      let differing = 0;
      for (let i = 0; i < a.means.length; i += 3)
        if ([0, 1, 2].some((c) => Math.abs(a.means[i + c] - b.means[i + c]) > levels)) differing++;
      return differing / (a.means.length / 3);
    },
    { pictures: [one, other].map((path) => readFileSync(path).toString("base64")), square: SQUARE, levels: LEVELS },
  );

test("the app looks as in docs/screens (`node tests/src/screens.mjs` renews them)", async () => {
  const folder = process.env.MAOOCR_SHOTS ?? mkdtempSync(join(tmpdir(), "screens-"));
  await shoot(
    folder,
    (device, colours, locale) =>
      (device === "phone" && colours === "light" && locale !== "zh-TW") || (device === "desktop" && locale === "zh-CN"),
  );
  const browser = await launch();
  try {
    const page = await browser.newPage();
    const names = readdirSync(folder).filter((name) => name.endsWith(".jpg"));
    // The camera's picture is of its moment.
    const still = names.filter((name) => !name.startsWith("live-"));
    assert.ok(still.length >= 20, still.join());
    const shares = await Promise.all(
      still.map(async (name) => [name, await difference(page, join(KEPT, name), join(folder, name))]),
    );
    const other = shares.filter(([, share]) => share > SHARE);
    assert.deepEqual(other, [], "these look different");
  } finally {
    await browser.close();
  }
  if (!process.env.MAOOCR_SHOTS) rmSync(folder, { recursive: true });
});
