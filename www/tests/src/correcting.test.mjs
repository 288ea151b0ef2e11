// A text that is corrected and selected.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { appTests, exported, go, kept, until } from "./app.mjs";
import { pick, readText } from "./browser.mjs";
import { sample } from "./samples.mjs";

const app = appTests();

describe("a text", () => {
  const whole = (page) => page.getByRole("textbox", { name: "All text" });
  const kept_ = async (page) => (await kept(page, "entries"))[0]?.text ?? "";
  const keeps = (page, wanted) => until(async () => wanted.test(await kept_(page)));

  test("that is corrected is corrected in its lines, and corrections are undone one by one", async () => {
    await app.visit({}, async (page) => {
      await pick(page, sample("receipt.jpg"));
      const text = await readText(page);
      const once = text.replace("CORNER BAKERY", "CORNER SHOP");
      const twice = once.replace("Leeds", "York");
      await whole(page).fill(once);
      await whole(page).blur();
      await whole(page).fill(twice);
      await whole(page).blur();
      const { lines } = JSON.parse((await exported(page, "JSON")).text);
      assert.deepEqual([lines[0].text, lines[1].text], ["CORNER SHOP", "12 Mill Lane, York"]);
      // Lines are still where they were.
      assert.ok(lines[0].box[0][0] > 0);
      await page.getByRole("button", { name: "Undo" }).click();
      assert.equal(await readText(page), once);
      await whole(page).focus();
      await page.keyboard.press("Control+z");
      assert.equal(await readText(page), text);
      await page.keyboard.press("Control+Shift+z");
      assert.equal(await readText(page), once);
      await keeps(page, /^CORNER SHOP\n12 Mill Lane, Leeds/);
      await page.getByRole("button", { name: "Redo" }).click();
      assert.equal(await readText(page), twice);
    });
  });

  test("is kept while it is typed, and when its screen is left", async () => {
    await app.visit({}, async (page) => {
      await pick(page, sample("receipt.jpg"));
      await readText(page);
      await keeps(page, /^CORNER/);
      await whole(page).focus();
      await page.keyboard.press("Control+Home");
      await page.keyboard.press("End");
      await page.keyboard.type(" & SONS ");
      await keeps(page, /^CORNER BAKERY & SONS \n/);
      // Where the person is in the field stays as it is.
      await page.keyboard.type("LTD");
      assert.match(await readText(page), /^CORNER BAKERY & SONS LTD\n/);
      await page.keyboard.press("Control+Home");
      await page.keyboard.type("THE ");
      await go(page, "#/history");
      await keeps(page, /^THE CORNER BAKERY & SONS LTD\n/);
    });
  });

  test("shows where the caret is on the picture, and what is chosen there", async () => {
    await app.visit({}, async (page) => {
      await pick(page, sample("receipt.jpg"));
      await readText(page);
      await whole(page).focus();
      await page.keyboard.press("Control+Home");
      await page.keyboard.press("ArrowDown");
      await page.waitForFunction(() => document.querySelectorAll("polygon")[1]?.classList.contains("selected"));
      await whole(page).blur();
      await page.locator(".word").first().click();
      await page.waitForFunction(() => document.querySelector(".mirror .selected")?.textContent.startsWith("CORNER"));
    });
  });

  test("that is pasted or dropped into a field stays in it, whatever comes with it", async () => {
    await app.visit({}, async (page) => {
      await pick(page, sample("receipt.jpg"));
      await readText(page);
      const taken = await whole(page).evaluate((field) => {
        const given = (...kinds) => {
          const data = new DataTransfer();
          if (kinds.includes("text")) data.items.add("from a table", "text/plain");
          if (kinds.includes("file")) data.items.add(new File(["x"], "x.png", { type: "image/png" }));
          return data;
        };
        const how = { bubbles: true, cancelable: true };
        return [
          new ClipboardEvent("paste", { ...how, clipboardData: given("text", "file") }),
          new DragEvent("drop", { ...how, dataTransfer: given("text") }),
          new ClipboardEvent("paste", { ...how, clipboardData: given("file") }),
        ].map((event) => !field.dispatchEvent(event));
      });
      assert.deepEqual(taken, [false, false, true]);
    });
  });

  test("is selected by a double click on it; beside it the picture comes nearer there", async () => {
    await app.visit({}, async (page) => {
      await pick(page, sample("receipt.jpg"));
      await page.getByRole("textbox", { name: "All text" }).waitFor();
      const view = () =>
        page.locator(".content").evaluate((e) => {
          const { a, e: x, f: y } = new DOMMatrix(getComputedStyle(e).transform);
          return { scale: a, x, y };
        });
      const before = await view();
      await page
        .locator(".word")
        .first()
        .dblclick({ position: { x: 10, y: 6 } });
      assert.match(await page.evaluate(() => getSelection().toString()), /CORNER|BAKERY/);
      assert.deepEqual(await view(), before);
      const { x: left, y: top } = await page.locator(".frame").boundingBox();
      const at = { x: 30, y: 40 };
      await page.mouse.dblclick(left + at.x, top + at.y);
      const after = await view();
      assert.ok(Math.abs(after.scale / before.scale - 2) < 0.01);
      // What was under the pointer still is.
      for (const axis of ["x", "y"])
        assert.ok(Math.abs((at[axis] - before[axis]) / before.scale - (at[axis] - after[axis]) / after.scale) < 1);
    });
  });
});
