// The extension's states, light and dark, English and Chinese: node tests/src/extension-screens.mjs [FOLDER]

import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";

import { launchExtension, sites } from "./extension.mjs";

const out = resolve(process.argv[2] ?? join(import.meta.dirname, "../../../docs/screens/extension"));
mkdirSync(out, { recursive: true });

const site = await sites();

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
  const empty = await own("popup", 380, 300);
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
  const options = await own("options", 760, 1180);
  await shot("options", options);
  await extension.end();
}

await states("light", "en-GB");
await states("dark", "en-GB");
await states("light", "zh-CN", ["picture", "pick", "panel", "popup", "options"]);
site.stop();
