// Every screen at the size of a phone and of a desktop, light and dark, in English; the first and the main one in
// Chinese too, and the smallest phone and one held sideways: node tests/src/screens.mjs [FOLDER]

import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";

import { launch, open, pick } from "./browser.mjs";
import { pdfOf, sample } from "./samples.mjs";
import { serve } from "./serve.mjs";
import { movingPicture } from "./video.mjs";

/** Where they are kept. */
export const KEPT = resolve(import.meta.dirname, "../../../docs/screens");

const PHONE = { hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
const DEVICES = {
  phone: { viewport: { width: 390, height: 844 }, ...PHONE },
  desktop: { viewport: { width: 1440, height: 900 } },
  small: { viewport: { width: 320, height: 568 }, ...PHONE },
  sideways: { viewport: { width: 844, height: 390 }, ...PHONE },
};

/** What a phone's browser has. */
const phone = () => {
  Object.defineProperty(navigator, "share", { value: async () => undefined, configurable: true });
  delete MediaDevices.prototype.getDisplayMedia;
};

const go = (page, hash) => page.evaluate((to) => (location.hash = to), hash);

async function visit({ browser, server, out }, device, colorScheme, locale, work) {
  const context = { ...DEVICES[device], colorScheme, locale, permissions: ["camera"] };
  const opened = await open(browser, server.url, { context, ...(device !== "desktop" && { init: phone }) });
  const { page, faults } = opened;
  page.setDefaultTimeout(120_000);
  const suffix = locale.startsWith("zh") ? `-${locale}` : "";
  const shot = async (name) => {
    await page.waitForFunction(() =>
      [...document.images].every((image) => image.complete || image.getBoundingClientRect().top > innerHeight),
    );
    await page.waitForTimeout(400);
    const path = join(out, `${name}-${device}-${colorScheme}${suffix}.jpg`);
    // Notices are of their moment.
    await page.evaluate(() => (document.querySelector(".notices").style.visibility = "hidden"));
    await page.screenshot({ path, type: "jpeg", quality: 72, scale: "css" });
  };
  await page.locator("h1").waitFor();
  await work(page, shot);
  if (faults.length > 0) console.error(device, faults);
  await opened.context.close();
}

async function readReceipt(page, shot) {
  await pick(page, sample("receipt.jpg"));
  await page.locator(".flow textarea").waitFor();
  await page.waitForFunction(() => document.querySelector(".frame canvas.whole")?.width > 1);
  await shot("read");
}

async function everything(page, shot) {
  await shot("home");
  await go(page, "#/history");
  await shot("history-empty");
  await go(page, "#/");
  await readReceipt(page, shot);
  if (await page.evaluate(() => matchMedia("(hover: none)").matches)) {
    const { x, y, width, height } = await page.locator(".word").nth(2).boundingBox();
    await page.touchscreen.tap(x + width / 2, y + height / 2);
    await page.getByRole("button", { name: "End of selection" }).press("ArrowRight");
    await shot("selected");
    await page.getByRole("toolbar").getByRole("button", { name: "Close" }).click();
  }
  const more = async (action) => {
    await page.getByRole("button", { name: "More", exact: true }).click();
    if (!action) return;
    await page.getByRole("menuitem", { name: action }).click();
  };
  await more();
  await shot("menu");
  await page.keyboard.press("Escape");
  await more("Crop and rotate");
  await page.waitForFunction(() => document.querySelector("dialog canvas")?.width > 1);
  await shot("crop");
  await page.keyboard.press("Escape");
  await more("Read again");
  await shot("again");
  await page.keyboard.press("Escape");
  await go(page, "#/");
  await page.locator(".home").waitFor();
  const pdf = pdfOf(sample("receipt.jpg"), sample("chinese.jpg"));
  await pick(page, sample("photo.png"), pdf, sample("chinese.jpg"), sample("broken/bad-crc.png"));
  await page.getByText("1 failed").waitFor();
  await page.getByText("4 of 5 pictures").waitFor();
  await shot("queue");
  await page.locator("li a", { hasText: "bad-crc" }).click();
  await page.getByRole("alert").waitFor();
  await shot("failed");
  await go(page, "#/queue");
  await page.getByRole("button", { name: "Clear list" }).click();
  await go(page, "#/");
  await page.locator(".home").waitFor();
  await pick(page, pdf);
  await page.getByText("2 of 2 pictures").waitFor();
  await page.locator("li a", { hasText: "scan.pdf · 1" }).click();
  await page.locator(".formatted .region").first().waitFor();
  await page.waitForFunction(() => document.querySelector(".frame canvas.whole")?.width > 1);
  await shot("document");
  await go(page, "#/scan");
  await page.setInputFiles('input[type="file"]', [sample("receipt.jpg")]);
  await page.locator("[aria-busy=false] img").waitFor();
  await shot("scan");
  await go(page, "#/history");
  await page.getByRole("searchbox").fill("total");
  await shot("history");
  await go(page, "#/");
  await page.locator(".home li").first().waitFor();
  await shot("home-recent");
  await go(page, "#/settings");
  await page.locator("summary").waitFor();
  await shot("settings");
  await live(page, shot);
}

async function live(page, shot) {
  await go(page, "#/camera");
  await page.getByText("Live", { exact: true }).click();
  await page.locator(".tracks li").first().waitFor();
  await shot("live");
}

async function inChinese(page, shot) {
  await shot("home");
  await pick(page, sample("chinese.jpg"));
  await page.locator(".flow textarea").waitFor();
  await page.waitForFunction(() => document.querySelector(".frame canvas.whole")?.width > 1);
  await shot("read");
  await go(page, "#/settings");
  await page.locator("summary").waitFor();
  await shot("settings");
}

async function main(page, shot) {
  await shot("home");
  await readReceipt(page, shot);
  await live(page, shot);
}

/** Each with its device, its colours, its language and what is done. */
const VISITS = [
  ...["phone", "desktop"].flatMap((device) =>
    ["light", "dark"].map((colours) => [device, colours, "en-GB", everything]),
  ),
  ...["zh-CN", "zh-TW"].flatMap((locale) => ["phone", "desktop"].map((device) => [device, "light", locale, inChinese])),
  ...["small", "sideways"].map((device) => [device, "light", "en-GB", main]),
];

/** Puts the screens of all visits into a folder, or of those that `which` wants. */
export async function shoot(out, which = () => true) {
  mkdirSync(out, { recursive: true });
  const server = await serve();
  const helper = await launch();
  const video = await movingPicture(helper, sample("receipt.jpg"));
  await helper.close();
  const browser = await launch(
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    `--use-file-for-fake-video-capture=${video}`,
  );
  try {
    for (const visited of VISITS.filter((each) => which(...each))) await visit({ browser, server, out }, ...visited);
  } finally {
    await browser.close();
    await server.stop();
  }
}

if (process.argv[1] === import.meta.filename) await shoot(resolve(process.argv[2] ?? KEPT));
