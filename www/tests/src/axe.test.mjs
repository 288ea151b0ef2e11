// axe finds nothing, on any screen.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import axe from "axe-core";

import { appTests, go, PHONE } from "./app.mjs";
import { choose, pick } from "./browser.mjs";
import { pdfOf, sample } from "./samples.mjs";

const app = appTests();

describe("axe finds nothing", () => {
  for (const colorScheme of ["light", "dark"]) {
    for (const [device, size] of [
      ["phone", PHONE],
      ["desktop", {}],
    ]) {
      // prettier-ignore
      test(`${device}, ${colorScheme}`, async () => {
        await app.visit({ context: { ...size, colorScheme, bypassCSP: true } }, async (page) => {
          await page.addScriptTag({ content: axe.source });
          const check = async (screen) => {
            // Colours that are still changing have no contrast to speak of. A change may be cut off by the next one.
            await page.evaluate(() => Promise.allSettled(document.getAnimations().filter((a) => a.effect.getTiming().iterations === 1).map((a) => a.finished))); // prettier-ignore
            const { violations } = await page.evaluate(() => window.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })); // prettier-ignore
            const told = violations.flatMap(({ id, nodes }) => nodes.map((n) => `${screen}: ${id}: ${n.html.slice(0, 160)} ${n.failureSummary}`));
            assert.deepEqual(told, []);
          };
          await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
          await check("home");
          await go(page, "#/history");
          await page.getByText("Nothing here yet").waitFor();
          await check("empty history");
          await go(page, "#/");
          await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
          await pick(page, sample("receipt.jpg"), sample("broken/bad-crc.png"));
          await page.getByText("1 of 2 pictures").waitFor();
          await check("queue");
          await page.getByRole("link", { name: /bad-crc/ }).click();
          await page.getByRole("alert").waitFor();
          await check("failed");
          await go(page, "#/queue");
          await page.getByRole("link", { name: /receipt/ }).click();
          await page.getByRole("textbox", { name: "All text" }).waitFor();
          await check("read");
            await page.keyboard.press("Control+f");
            await check("find");
            await page.getByRole("button", { name: "More", exact: true }).click();
            await check("menu");
            await page.getByRole("menuitem", { name: "Read again" }).click();
            await check("read again");
            await page.keyboard.press("Escape");
          await choose(page, "More", "Crop and rotate");
          await page.getByRole("dialog").waitFor();
          await check("crop");
          await page.keyboard.press("Escape");
          await go(page, "#/");
          await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
          await pick(page, pdfOf(sample("receipt.jpg"), sample("chinese.jpg")));
          await page.getByText("2 of 3 pictures").waitFor();
          await page.getByRole("link", { name: /scan.pdf · 1/ }).click();
          await page.getByRole("button", { name: "Copy table" }).waitFor();
          await page.getByRole("navigation", { name: "Pages" }).waitFor();
          await check("document");
          await page.keyboard.press("Control+f");
          await page.getByRole("searchbox").fill("希望");
          await page.getByRole("link", { name: /^Page 2, \d/ }).waitFor();
          await check("search across pages");
          await page.getByRole("button", { name: "Export 2 pages" }).click();
          await check("export");
          await page.keyboard.press("Escape");
          await go(page, "#/scan");
          await page.setInputFiles('input[type="file"]', [sample("receipt.jpg")]);
          await page.locator("[aria-busy=false]").waitFor();
          await check("scan");
          await page.getByRole("button", { name: "Corners: 1" }).click();
          await page.getByRole("button", { name: "Bottom right" }).waitFor();
          await check("corners");
          await page.keyboard.press("Escape");
          await go(page, "#/history");
          await page.getByRole("searchbox").waitFor();
          await check("history");
          await go(page, "#/settings");
          await page.getByText("Advanced", { exact: true }).click();
            await page.getByText("for most text").waitFor();
          await check("settings");
          await go(page, "#/camera");
          await page.getByRole("alert").waitFor();
          await check("camera refused");
        });
      });
    }
  }
});
