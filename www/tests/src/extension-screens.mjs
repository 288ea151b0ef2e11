// The extension's states, light and dark, English and Chinese: node tests/src/extension-screens.mjs [FOLDER]

import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";

import { launchExtension, sites } from "./extension.mjs";
import { lockedPdf, pdfOf, sample } from "./samples.mjs";

const out = resolve(process.argv[2] ?? join(import.meta.dirname, "../../../docs/screens/extension"));
mkdirSync(out, { recursive: true });

const site = await sites();
const scan = pdfOf(sample("receipt.jpg"), sample("chinese.jpg"));

async function states(colorScheme, locale, names) {
  const suffix = `${colorScheme}${locale.startsWith("zh") ? "-zh" : ""}`;
  const extension = await launchExtension(site, {
    ...{ colorScheme, locale, viewport: { width: 1000, height: 700 } },
    env: { ...process.env, LANGUAGE: locale.replace("-", "_") },
  });
  const { page, context, id, visit, menu, told, shadow } = extension;
  const shot = async (name, of = page) => {
    if (names && !names.includes(name)) return;
    await of.waitForTimeout(400);
    await of.screenshot({ path: join(out, `${name}-${suffix}.jpg`), type: "jpeg", quality: 80 });
  };
  const own = async (name, width, height) => {
    const opened = await context.newPage();
    await opened.setViewportSize({ width, height });
    await opened.goto(`chrome-extension://${id}/${name}.html`);
    return opened;
  };
  const empty = await own("popup", 380, 420);
  await shot("popup-empty", empty);
  await empty.close();

  await visit("article");
  await menu("image", { srcUrl: `${site.url}receipt.jpg` });
  await page.waitForTimeout(50);
  await shot("picture-reading");
  await told();
  await shot("picture");
  await shadow((root) => root.querySelector(".bar button").click());
  await shot("picture-selected");

  await visit("article");
  await menu("pick");
  const { x, y, width, height } = await page.locator("#it").boundingBox();
  await page.mouse.move(x + width / 2, y + height / 2);
  await shot("pick");
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x + width, y + height * 0.6, { steps: 4 });
  await shot("pick-part");
  await page.mouse.up();
  await told();
  await shot("panel");

  const popup = await own("popup", 380, 600);
  await popup.locator("li .entry").first().click();
  await shot("popup", popup);
  await popup.close();
  await visit("bare-text");
  await menu("image", { srcUrl: `${site.url}blank.svg` });
  await page.waitForTimeout(2500);
  await shot("nothing");

  await visit("prose");
  await page.evaluate(() => (document.body.style.font = "25px/1.6 Georgia, serif"));
  await menu("page");
  await page.waitForTimeout(1500);
  await shot("page-reading");
  await told();
  await shot("page");

  const reader = await own("reader", 1000, 700);
  await shot("reader-empty", reader);
  const file = reader.locator('input[type="file"]');
  await file.setInputFiles(lockedPdf(scan, "harbour"));
  await reader.locator("#password").waitFor();
  await shot("reader-password", reader);
  await file.setInputFiles(scan);
  await reader.locator("section .word").first().waitFor();
  await reader.locator("section img").first().waitFor();
  await reader.waitForFunction(() => document.querySelectorAll("header button").length === 2);
  await shot("reader", reader);
  await reader.close();

  const panel = await own("panel", 360, 700);
  await panel.locator("li .entry").first().waitFor();
  await shot("side-panel", panel);
  await panel.close();

  const server = { server: "https://ocr.example.org/", place: "auto", sitesOff: ["bank.example.com"] };
  await page.bringToFront();
  await (await extension.background()).evaluate((chosen) => chrome.storage.local.set(chosen), server);
  const options = await own("options", 760, 1560);
  await shot("options", options);
  await extension.end();
}

await states("light", "en-GB");
await states("dark", "en-GB");
await states("light", "zh-CN", ["picture", "pick", "panel", "popup", "page-reading", "reader", "options"]);
site.stop();
