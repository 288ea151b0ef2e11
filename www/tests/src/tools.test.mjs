// What the browser itself offers: a part of the screen to be read, translation.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { appTests, until } from "./app.mjs";
import { choose, pick, readText } from "./browser.mjs";
import { sample } from "./samples.mjs";

const app = appTests();

/** A screen that shows the receipt; headless browsers have none to choose. */
const screen = async (base64) => {
  navigator.mediaDevices.getDisplayMedia = async () => {
    const image = await createImageBitmap(new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))]));
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    const draw = () => canvas.getContext("2d").drawImage(image, 0, 0);
    draw();
    setInterval(draw, 100);
    return canvas.captureStream(10);
  };
};

test("of the screen a part is read that one draws", async () => {
  const source = readFileSync(sample("receipt.jpg")).toString("base64");
  await app.visit({}, async (page) => {
    await page.evaluate(screen, source);
    await page.getByRole("button", { name: "Screen" }).click();
    const dialog = page.getByRole("dialog", { name: "Crop and rotate" });
    const corner = dialog.getByRole("button", { name: "Bottom right" });
    await corner.waitFor();
    await page.waitForFunction(() => document.querySelector("dialog canvas")?.width > 1);
    // Up to the middle: the lower half isn't wanted.
    for (let n = 0; n < 5; n++) await corner.press("Shift+ArrowUp");
    await dialog.getByRole("button", { name: "Read this part" }).click();
    const text = await readText(page);
    assert.match(text, /CORNER BAKERY/);
    assert.doesNotMatch(text, /Thank you, come again/);
    // Who closes the dialog has nothing read.
    await page.evaluate(() => (location.hash = "#/"));
    await page.getByRole("button", { name: "Screen" }).click();
    await corner.waitFor();
    await page.keyboard.press("Escape");
    await corner.waitFor({ state: "detached" });
    assert.equal(await page.evaluate(() => location.hash), "#/");
  });
});

/** Chromium on Linux brings no translator of its own; this one says what it was asked. */
const translator = () => {
  globalThis.Translator = {
    availability: async ({ targetLanguage }) => (targetLanguage === "hi" ? "unavailable" : "available"),
    create: async ({ sourceLanguage, targetLanguage }) => ({
      translate: async (text) => `${sourceLanguage}-${targetLanguage}: ${text}`,
    }),
  };
  globalThis.LanguageDetector = {
    create: async () => ({ detect: async () => [{ detectedLanguage: "en", confidence: 0.9 }] }),
  };
};

test("the text is translated by the browser, where it can", async () => {
  await app.visit({ init: translator }, async (page) => {
    await pick(page, sample("receipt.jpg"));
    await readText(page);
    await choose(page, "More", "Translate");
    const dialog = page.getByRole("dialog", { name: "Translate" });
    await dialog.getByLabel("To").selectOption("de");
    await until(async () => /^en-de: CORNER BAKERY 12 Mill Lane, Leeds$/m.test(await dialog.innerText()));
    await dialog.getByLabel("To").selectOption("hi");
    await dialog.getByText("This browser can’t translate between these languages.").waitFor();
  });
  await app.visit({}, async (page) => {
    await pick(page, sample("receipt.jpg"));
    await readText(page);
    await page.getByRole("button", { name: "More", exact: true }).click();
    const offered = await page.evaluate(() => "Translator" in globalThis);
    assert.equal(await page.getByRole("menuitem", { name: "Translate" }).count(), offered ? 1 : 0);
  });
});
