// The app by keyboard: screens, focus, notices.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { appTests, go } from "./app.mjs";
import { choose, pick, readText } from "./browser.mjs";
import { sample } from "./samples.mjs";

const app = appTests();

describe("the app", () => {
  test("is used by keyboard", async () => {
    await app.visit({}, async (page) => {
      page.on("filechooser", (chooser) => chooser.setFiles(sample("photo.png")));
      await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to content");
      await page.keyboard.press("Enter");
      await page.keyboard.press("Tab");
      assert.match(await page.evaluate(() => document.activeElement.textContent), /Choose pictures/);
      await page.keyboard.press("Enter");
      await readText(page);
      await page.getByRole("group", { name: "Picture with its text" }).focus();
      const scale = () => page.locator(".content").evaluate((e) => new DOMMatrix(getComputedStyle(e).transform).a);
      const before = await scale();
      await page.keyboard.press("+");
      assert.ok((await scale()) > before);
    });
  });

  test("shows a screen until the next one is there, and makes each once", async () => {
    const init = () => {
      window.lost = 0;
      addEventListener("DOMContentLoaded", () =>
        new MutationObserver(() => {
          if (document.querySelector("main h1")?.textContent.includes("no longer in the history")) window.lost += 1;
        }).observe(document.body, { childList: true, subtree: true, characterData: true }),
      );
    };
    await app.visit({ init }, async (page) => {
      await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
      assert.equal(await page.title(), "Text from any picture · MaoOCR");
      await pick(page, sample("receipt.jpg"));
      await readText(page);
      assert.equal(await page.title(), "receipt.jpg · MaoOCR");
      for (const [name, heading] of [
        ["history", "History"],
        ["queue", "Pictures"],
        ["settings", "Settings"],
      ]) {
        await go(page, "#/history");
        await page.getByRole("link", { name: /receipt/ }).click();
        await readText(page);
        assert.equal(await page.evaluate(() => document.activeElement.textContent), "receipt.jpg");
        await go(page, `#/${name}`);
        await page.getByRole("heading", { name: heading }).waitFor();
        assert.equal(await page.title(), `${heading} · MaoOCR`);
      }
      assert.equal(await page.evaluate(() => window.lost), 0);
      await go(page, "#/read/nothing");
      await page.getByRole("heading", { name: "no longer in the history" }).waitFor();
      assert.ok(await page.evaluate(() => window.lost > 0), "it would have been seen");
    });
  });

  test("keeps the focus where things go away", async () => {
    await app.visit({}, async (page) => {
      const focused = () => page.evaluate(() => document.activeElement.ariaLabel ?? document.activeElement.textContent);
      const press = async (name) => {
        await page.getByRole("button", { name, exact: true }).focus();
        await page.keyboard.press("Enter");
      };
      await pick(page, sample("columns.png"));
      await press("Stop");
      await page.getByRole("heading", { name: "Stopped" }).waitFor();
      assert.equal(await focused(), "columns.png");
      await press("Try again");
      await page.getByRole("button", { name: "Stop" }).waitFor();
      assert.equal(await focused(), "columns.png");
      await readText(page);
      await choose(page, "More", "Crop and rotate");
      await press("Read this part");
      await page.getByRole("dialog").waitFor({ state: "detached" });
      await readText(page);

      await press("Export");
      await page.getByRole("menuitem", { name: "Plain text" }).waitFor();
      for (let i = 0; i < 9; i++) await page.keyboard.press("Tab");
      await page.getByRole("menu").waitFor({ state: "detached" });
      assert.equal(await focused(), "More");

      await go(page, "#/");
      await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
      await pick(page, sample("receipt.jpg"), sample("photo.png"));
      await press("Pause");
      await press("Cancel: photo.png");
      await page.getByRole("button", { name: "Try again: photo.png" }).waitFor();
      assert.equal(await focused(), "Try again: photo.png");
      await page.keyboard.press("Enter");
      assert.equal(await focused(), "Cancel: photo.png");
      await press("Resume");
      await page.getByText("2 of 2 pictures").waitFor();

      await go(page, "#/history");
      await press("More: photo.png");
      await page.getByRole("menuitem", { name: "Delete" }).press("Enter");
      await page.getByText("2 pictures", { exact: true }).first().waitFor();
      assert.match(await focused(), /receipt\.jpg/);
      await press("Select");
      for (const box of await page.getByRole("checkbox").all()) await box.check();
      await press("Delete");
      await page.getByRole("dialog").getByRole("button", { name: "Delete" }).press("Enter");
      await page.getByText("Nothing here yet").waitFor();
      assert.equal(await focused(), "History");
    });
  });

  test("leaves a notice while somebody is at it", async () => {
    // An hour goes by in half of one.
    const init = () => {
      const { setInterval } = window;
      window.setInterval = (run, ms, ...more) => setInterval(run, ms / 2, ...more);
    };
    // Without a worker no other notice comes and goes beside it, which would move it from under the pointer.
    const context = { permissions: ["clipboard-read", "clipboard-write"], serviceWorkers: "block" };
    await app.visit({ init, context }, async (page) => {
      await pick(page, sample("photo.png"));
      await page.getByRole("button", { name: "Copy", exact: true }).click();
      const notice = page.locator(".notice", { hasText: "Copied" });
      await notice.hover();
      await page.waitForTimeout(3500);
      assert.ok(await notice.isVisible());
      await notice.getByRole("button").focus();
      await page.mouse.move(600, 20);
      await page.waitForTimeout(3500);
      assert.ok(await notice.isVisible());
      await page.getByRole("textbox", { name: "All text" }).focus();
      await notice.waitFor({ state: "detached" });
    });
  });
});
