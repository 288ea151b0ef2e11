// The icon at the sizes that systems want: node app/scripts/icons.mjs, after a change of icon.svg.

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { chromium } from "playwright-core";

const folder = join(import.meta.dirname, "../public/icons");
const svg = readFileSync(join(folder, "icon.svg"), "utf8");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium" });
const page = await browser.newPage();

/** A maskable icon may be cut to a circle of four fifths: its ground reaches the edges, its drawing is smaller. */
const masked = svg.replace('rx="116"', "").replaceAll("<path", '<path transform="translate(51 51) scale(.8)"');

const extension = join(import.meta.dirname, "../../extension/public/icons");

for (const [name, size, source] of [
  ["192.png", 192, svg],
  ["512.png", 512, svg],
  ["180.png", 180, svg.replace('rx="116"', "")],
  ["maskable.png", 512, masked],
  ...[16, 32, 48, 128].map((size) => [join(extension, `${size}.png`), size, svg]),
]) {
  await page.setViewportSize({ width: size, height: size });
  await page.setContent(`<style>body{margin:0}svg{display:block;width:100vw}</style>${source}`);
  await page.screenshot({ path: resolve(folder, name), omitBackground: true });
}
await browser.close();
