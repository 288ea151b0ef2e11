// The stores' pictures of the extension, in English and Chinese: node tests/src/extension-promo.mjs [FOLDER]
// Five of its states as screenshots, and the small and the wide tile that Chrome's store shows in its lists.

import { mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

import { launchExtension, sites } from "./extension.mjs";
import { pdfOf, sample } from "./samples.mjs";

const EXTENSION = resolve(import.meta.dirname, "../../extension");

/** px, as the stores want them. */
export const SIZES = {
  picture: [1280, 800],
  part: [1280, 800],
  page: [1280, 800],
  pdf: [1280, 800],
  history: [1280, 800],
  small: [440, 280],
  wide: [1400, 560],
};

export const LOCALES = { en: "en-GB", zh_CN: "zh-CN" };

const LINES = {
  en: { picture: "Select text in any picture", part: "Drag around it, copy it", page: "Whole pages, from top to bottom", pdf: "Scanned PDFs become text", history: "Everything you read, found again", tile: "Text from pictures, videos and PDFs", private: "Read on your own device. Nothing is sent." }, // prettier-ignore
  zh_CN: { picture: "图片里的文字，直接选中", part: "框选文字，立即复制", page: "整个页面，从头读到尾", pdf: "扫描的 PDF 变成文字", history: "识别过的内容，随时找回", tile: "识别图片、视频和 PDF 中的文字", private: "在本机识别，不发送任何内容。" }, // prettier-ignore
};

const image = (bytes, type = "png") => `data:image/${type};base64,${bytes.toString("base64")}`;
const icon = image(readFileSync(join(EXTENSION, "public/icons/128.png")));

const STYLE = `<style>
  * { box-sizing: border-box; margin: 0 }
  body { height: 100vh; overflow: hidden; color: #fff; background: linear-gradient(135deg, #0b4f4a, #0f766e 55%, #14b8a6);
    font: 16px/1.3 system-ui, "DejaVu Sans", "Noto Sans CJK SC", sans-serif }
  .shown { display: grid; grid-template-rows: auto 1fr; justify-items: center; gap: 26px; padding: 34px 60px 0 }
  .shown h1 { font-size: 40px; font-weight: 650; white-space: nowrap }
  .shown img { width: 1080px; border-radius: 14px 14px 0 0; box-shadow: 0 10px 60px rgb(0 0 0 / 45%) }
  .tile { display: grid; place-content: center; justify-items: center; text-align: center; gap: 2.4vh }
  .tile img { width: 26vh; height: 26vh }
  .tile h1 { font-size: 14vh; font-weight: 700 }
  .tile p { font-size: 7.4vh }
  .tile p.quiet { font-size: 5.6vh; opacity: 0.85 }
</style>`;

/** A picture of markup; fails where something doesn't fit. */
async function drawn(context, [width, height], markup, path) {
  const page = await context.newPage();
  await page.setViewportSize({ width, height });
  await page.setContent(`<!doctype html>${STYLE}${markup}`);
  await page.evaluate(() => Promise.all([...document.images].map((one) => one.decode())));
  const wide = await page.evaluate(() =>
    [...document.querySelectorAll("h1, p")]
      .filter((element) => {
        const { left, right } = element.getBoundingClientRect();
        return left < 0 || right > innerWidth || element.scrollWidth > element.clientWidth + 1;
      })
      .map((element) => element.textContent),
  );
  if (wide.length > 0) throw new Error(`doesn't fit into ${path}: ${wide}`);
  await page.screenshot({ path, type: "jpeg", quality: 88 });
  await page.close();
}

async function pictures(site, folder, locale) {
  const words = LINES[locale];
  mkdirSync(folder, { recursive: true });
  const extension = await launchExtension(site, {
    ...{ locale: LOCALES[locale], colorScheme: "light", viewport: { width: 1080, height: 680 } },
    env: { ...process.env, LANGUAGE: locale },
  });
  const { page, context, id, visit, menu, told, shadow } = extension;
  try {
    const shown = async (name, of = page) => {
      await of.waitForTimeout(400);
      const markup = `<body class="shown"><h1>${words[name]}</h1><img src="${image(await of.screenshot())}" /></body>`;
      await drawn(context, SIZES[name], markup, join(folder, `${name}.jpg`));
      await of.bringToFront();
    };
    await visit("article");
    await menu("image", { srcUrl: `${site.url}receipt.jpg` });
    await told();
    await shadow((root) => root.querySelector(".bar button").click());
    await shown("picture");

    await visit("article");
    const { x, y, width, height } = await page.locator("#it").boundingBox();
    await menu("pick");
    await page.waitForTimeout(400);
    await page.mouse.move(x, y);
    await page.mouse.down();
    await page.mouse.move(x + width, y + height * 0.7, { steps: 4 });
    await page.mouse.up();
    await told();
    await shown("part");

    await visit("prose");
    await page.evaluate(() => (document.body.style.font = "25px/1.6 Georgia, serif"));
    await menu("page");
    await told();
    await shown("page");

    const reader = await context.newPage();
    await reader.setViewportSize({ width: 1080, height: 680 });
    await reader.goto(`chrome-extension://${id}/reader.html`);
    await reader.locator('input[type="file"]').setInputFiles(pdfOf(sample("receipt.jpg"), sample("chinese.jpg")));
    await reader.locator("section .row").first().waitFor({ state: "attached" });
    await reader.locator("section img").first().waitFor();
    await reader.locator('button:text-is("Stop"), button:text-is("停止")').waitFor({ state: "detached" });
    await shown("pdf", reader);
    await reader.close();

    const panel = await context.newPage();
    await panel.setViewportSize({ width: 1080, height: 680 });
    await panel.goto(`chrome-extension://${id}/panel.html`);
    await panel.locator("li .entry").first().waitFor();
    await panel.locator("li .entry").last().click();
    await shown("history", panel);
    await panel.close();

    const tile = `<body class="tile"><img src="${icon}" /><h1>MaoOCR</h1><p>${words.tile}</p><p class="quiet">${words.private}</p></body>`; // prettier-ignore
    for (const name of ["small", "wide"]) await drawn(context, SIZES[name], tile, join(folder, `${name}.jpg`));
  } finally {
    await extension.end();
  }
}

export async function promo(out, locales = Object.keys(LOCALES)) {
  const site = await sites();
  try {
    for (const locale of locales) await pictures(site, join(out, locale), locale);
  } finally {
    site.stop();
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await promo(resolve(process.argv[2] ?? join(EXTENSION, "store/pictures")));
}
