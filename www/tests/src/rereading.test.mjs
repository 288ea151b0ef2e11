// A picture that is read again, and what is kept of it meanwhile.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { appTests, go, keptTexts, until } from "./app.mjs";
import { choose, pick, readText } from "./browser.mjs";
import { commandText, sample } from "./samples.mjs";

const app = appTests();

describe("a picture", () => {
  test("that was hard to read is read again by larger models", async () => {
    await app.visit({}, async (page) => {
      await pick(page, sample("vertical.jpg"));
      await readText(page);
      await page.getByRole("button", { name: "Read more accurately" }).click();
      assert.match(await readText(page), /どこで生れた/);
      await page.getByText(/certain · /).click();
      await page
        .getByText(/ppocrv6-small-rec/)
        .first()
        .waitFor();
    });
  });

  test("keeps its text when reading it again fails or is stopped, and asks before corrections are lost", async () => {
    await app.visit({}, async (page) => {
      await pick(page, sample("vertical.jpg"));
      const text = await readText(page);
      const improve = page.getByRole("button", { name: "Read more accurately" });
      app.answer = (request, response) => request.url.includes("small") && response.destroy();
      await improve.click();
      await page.getByText(/reach the network.*The text hasn’t changed/).waitFor();
      assert.equal(await readText(page), text);

      app.answer = (request) => request.url.includes("small");
      await improve.click();
      await page.getByRole("button", { name: "Stop" }).click();
      await page.getByText("Stopped. The text hasn’t changed.").waitFor();
      assert.equal(await readText(page), text);
      app.answer = () => false;

      const whole = page.getByRole("textbox", { name: "All text" });
      await whole.fill("by hand");
      await whole.blur();
      await improve.click();
      await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
      assert.equal(await readText(page), "by hand");
      await until(async () => (await keptTexts(page)).includes("by hand"));
      // Also when it comes from the history.
      await page.reload();
      await improve.click();
      await page.getByRole("dialog").getByRole("button", { name: "Read again" }).click();
      assert.match(await readText(page), /どこで生れた/);
    });
  });

  test("that is corrected or deleted while it is being kept stays so", async () => {
    // Holds thumbnails until they are let go.
    const init = () => {
      const convert = OffscreenCanvas.prototype.convertToBlob;
      const held = new Promise((letGo) => (window.letGo = letGo));
      OffscreenCanvas.prototype.convertToBlob = async function (...options) {
        await held;
        return convert.apply(this, options);
      };
    };
    await app.visit({ init }, async (page) => {
      await pick(page, sample("photo.png"));
      await readText(page);
      const whole = page.getByRole("textbox", { name: "All text" });
      await whole.fill("by hand");
      await whole.blur();
      await go(page, "#/");
      await pick(page, sample("receipt.jpg"));
      await readText(page);
      await choose(page, "More", "Delete");
      await page.evaluate(() => window.letGo());
      await page.getByText("Deleted").waitFor();
      await until(async () => (await keptTexts(page)).length > 0);
      await page.waitForTimeout(500);
      assert.deepEqual(await keptTexts(page), ["by hand"]);
    });
  });

  test("is spread over the device's cores, and reads the same", async () => {
    const init = () => Object.defineProperty(navigator, "hardwareConcurrency", { value: 4 });
    await app.visit({ init }, async (page) => {
      await pick(page, sample("columns.png"));
      assert.equal(await readText(page), commandText(sample("columns.png")));
      assert.equal(page.workers().filter((worker) => /\/worker-/.test(worker.url())).length, 3);
    });
  });
});
