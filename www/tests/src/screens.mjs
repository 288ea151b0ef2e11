// Every screen at the size of a phone and of a desktop, light and dark: node tests/src/screens.mjs [FOLDER]

import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";

import { launch, open, pick } from "./browser.mjs";
import { serve } from "./serve.mjs";
import { movingPicture } from "./video.mjs";

const out = resolve(process.argv[2] ?? join(import.meta.dirname, "../../../docs/screens"));
mkdirSync(out, { recursive: true });
const samples = (name) => resolve(import.meta.dirname, "../../../tests/samples", name);

const server = await serve();
const helper = await launch();
const video = await movingPicture(helper, samples("receipt.jpg"));
await helper.close();
const browser = await launch(
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  `--use-file-for-fake-video-capture=${video}`,
);

for (const [device, viewport] of [
  ["phone", { width: 390, height: 844 }],
  ["desktop", { width: 1440, height: 900 }],
]) {
  for (const colorScheme of ["light", "dark"]) {
    const context = { viewport, colorScheme, permissions: ["camera"] };
    const { page, context: opened, faults } = await open(browser, server.url, { context });
    const shot = async (name) => {
      await page.waitForTimeout(250);
      await page.screenshot({ path: join(out, `${name}-${device}-${colorScheme}.jpg`), type: "jpeg", quality: 72 });
    };
    const go = (hash) => page.evaluate((to) => (location.hash = to), hash);
    await shot("home");
    await go("#/history");
    await shot("history-empty");
    await go("#/");
    await pick(page, samples("receipt.jpg"));
    await page.getByRole("tab", { name: "Text" }).waitFor();
    await shot("read");
    await page.getByRole("button", { name: "Crop and turn" }).click();
    await shot("crop");
    await page.keyboard.press("Escape");
    await go("#/");
    await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
    await pick(page, samples("photo.png"), samples("chinese.jpg"), samples("dark.png"), samples("broken/bad-crc.png"));
    await page.getByText("1 failed").waitFor();
    await page.getByText("4 of 5 pictures").waitFor();
    await shot("queue");
    await page.locator("li a", { hasText: "bad-crc" }).click();
    await page.getByRole("alert").waitFor();
    await shot("failed");
    await go("#/history");
    await page.getByRole("searchbox").waitFor();
    await shot("history");
    await go("#/");
    await shot("home-recent");
    await go("#/settings");
    await page.getByText("on this device").first().waitFor();
    await shot("settings");
    await go("#/camera");
    await page.locator(".tracks li").first().waitFor();
    await shot("live");
    if (faults.length > 0) console.error(faults);
    await opened.close();
  }
}
await browser.close();
await server.stop();
