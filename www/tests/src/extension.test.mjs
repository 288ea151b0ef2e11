// The extension in Chromium, on pages with pictures of every kind: it reads what the command reads, and tells nobody.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, afterEach, before, test } from "node:test";

import { launch } from "./browser.mjs";
import { commandsText, DIST, launchExtension, lines, PATIENCE, sites } from "./extension.mjs";
import { hugeOf } from "./samples.mjs";

const TEXT = commandsText("dark.png");
const NOTICE = ["Notice to mariners", "The harbour is closed", "until 3 November 2026"];

let site = null;
let extension = null;
before(async () => {
  const helper = await launch();
  site = await sites({ "huge.png": await hugeOf(helper, NOTICE, 10) });
  await helper.close();
  extension = await launchExtension(site);
});
afterEach(() => assert.deepEqual(extension.faults, []));
after(async () => {
  await extension?.end();
  site?.stop();
});

/** Where the picture is, and its middle. */
async function spot(selector = "#it") {
  const { x, y, width, height } = await extension.page.locator(selector).boundingBox();
  return { x, y, width, height, middle: [x + width / 2, y + height / 2] };
}

/** Picks a part; `held` is done before the button is let go. */
async function drag({ x, y, width, height }, held = async () => undefined) {
  const { page, picking } = extension;
  await picking();
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x + width, y + height, { steps: 6 });
  await held();
  await page.mouse.up();
}

const onClipboard = () => extension.page.evaluate(() => navigator.clipboard.readText());

test("a picture's text lies over it, can be selected and copied, follows it and goes", async () => {
  const { page, visit, menu, told, shadow, until, context } = extension;
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await visit("image");
  await menu("image", { srcUrl: `${site.url}dark.png` });
  assert.equal(await told(), lines(TEXT));

  const picture = await spot();
  const words = () =>
    shadow((root) =>
      [...root.querySelectorAll(".word")].map((word) => {
        const { x, y, right, bottom } = word.getBoundingClientRect();
        return { x, y, right, bottom };
      }),
    );
  for (const { x, y, right, bottom } of await words()) {
    assert.ok(x >= picture.x - 3 && right <= picture.x + picture.width + 3, `${x}–${right}`);
    assert.ok(y >= picture.y - 3 && bottom <= picture.y + picture.height + 3, `${y}–${bottom}`);
  }
  // As a person does: pressed on the first word, let go on the last one.
  const all = await words();
  const [from, to] = [all[0], all.at(-1)];
  await page.mouse.move(from.x + 1, (from.y + from.bottom) / 2);
  await page.mouse.down();
  await page.mouse.move(to.right - 1, (to.y + to.bottom) / 2, { steps: 8 });
  await page.mouse.up();
  await page.keyboard.press("Control+c");
  assert.equal(lines(await onClipboard()), lines(TEXT));

  await page.evaluate(() => (document.querySelector("p").style.paddingTop = "70px"));
  await until(async () => Math.abs((await words())[0].y - from.y - 70) < 1.5);

  // The page can't look inside.
  assert.equal(
    await page.evaluate(() => [...document.querySelectorAll("*")].some((element) => element.shadowRoot)),
    false,
  );
  await page.keyboard.press("Escape");
  assert.equal(await shadow(() => 1), null);
});

test("also another site's picture, which the page may not read, under a strict policy", async () => {
  await extension.visit("foreign");
  await extension.menu("image", { srcUrl: `${site.other}dark.png` });
  assert.equal(await extension.told(), lines(TEXT));
});

test("one of several sources of a picture, without a network", async () => {
  const { context, visit, menu, told } = extension;
  await visit("art");
  await context.setOffline(true);
  try {
    await menu("image", { srcUrl: `${site.url}dark.png` });
    assert.equal(await told(), lines(TEXT));
  } finally {
    await context.setOffline(false);
  }
});

test("who can't wait has one text in the end, whatever the page does to it", async () => {
  const { page, visit, menu, told, shadow } = extension;
  await visit("image");
  await page.evaluate(() => {
    const it = document.querySelector("#it");
    for (let n = 0; n < 200; n++) document.body.append(it.cloneNode());
  });
  for (const item of ["pick", "image", "visible", "page", "image", "pick", "pick", "image"]) {
    await menu(item, item === "image" ? { srcUrl: `${site.url}dark.png` } : {});
  }
  assert.equal(await told(), lines(TEXT));
  assert.equal(await page.evaluate(() => document.querySelectorAll("html > div").length), 1);
  await page.evaluate(() => document.querySelector("html > div").remove());
  await menu("image", { srcUrl: `${site.url}dark.png` });
  assert.equal(await told(), lines(TEXT));
  await page.keyboard.press("Escape");
  assert.equal(await shadow(() => 1), null);
});

test("a picture of 80 megapixels at a lower resolution, and one that is broken", async () => {
  const { page, visit, menu, told, shadow } = extension;
  await visit("image");
  const show = (address) =>
    page.locator("#it").evaluate(
      (image, src) =>
        new Promise((done) => {
          Object.assign(image, { src, onload: () => done(image.naturalWidth), onerror: () => done(0) });
        }),
      address,
    );
  assert.equal(await show("/huge.png"), 10_000);
  await menu("image", { srcUrl: `${site.url}huge.png` });
  assert.equal(await told(), NOTICE.join("\n"));
  // Nothing is read of it, and the next picture is.
  assert.equal(await show("/nowhere"), 0);
  await menu("image", { srcUrl: `${site.url}nowhere` });
  const says = () =>
    shadow((root) => (root.querySelector(".frame.busy") ? "" : (root.querySelector(".says")?.textContent ?? "")));
  for (const end = Date.now() + PATIENCE; (await says()) !== "No text found"; await page.waitForTimeout(100)) {
    assert.ok(Date.now() < end, await says());
  }
  await show("/dark.png");
  await menu("image", { srcUrl: `${site.url}dark.png` });
  assert.equal(await told(), lines(TEXT));
});

for (const [name, exact] of [
  ["background", true],
  ["canvas", true],
  ["webgl", true],
  ["svg", true],
  ["video", false],
]) {
  test(`what a click chooses: ${name}`, async () => {
    const { page, visit, picking, told } = extension;
    await visit(name);
    await picking();
    await page.mouse.move(...(await spot()).middle);
    await page.mouse.click(...(await spot()).middle);
    const text = await told();
    // A video's colours are rounded on their way.
    if (exact) assert.equal(text, lines(TEXT));
    else assert.match(text, /cargo build[^]*Compiling serde[^]*warning: unused variable/);
  });
}

test("what is dragged around is read into a panel beside it, and copied", async () => {
  const { visit, told, shadow, until } = extension;
  await visit("background");
  const { x, y, width, height } = await spot();
  await drag({ x, y, width, height });
  assert.equal(await told(), TEXT);
  const panel = await shadow((root) => root.querySelector(".panel").getBoundingClientRect().toJSON());
  const apart = panel.x >= x + width || panel.y >= y + height || panel.right <= x || panel.bottom <= y;
  assert.ok(apart, JSON.stringify(panel));
  await shadow((root) => root.querySelector("button.main").click());
  await until(() => shadow((root) => root.querySelector(".says").textContent === "Copied"));
  assert.equal(await onClipboard(), TEXT);
});

test("what is dragged around within a picture is read from the picture, finer than the screen shows it", async () => {
  const { page, visit, told } = extension;
  await visit("image");
  await page.locator("#it").evaluate((image) => Object.assign(image, { width: 380, height: 150 }));
  const { x, y, width, height } = await spot();
  await drag({ x: x + 2, y: y + 2, width: width - 4, height: height - 4 });
  // Without its edge a sign more or less is read.
  assert.equal(lines(await told()).replace("`width'", "`width"), lines(TEXT).replace("`width'", "`width"));
});

test("the text of a picture is seen, and is in the way, only where the picture is", async () => {
  const { page, visit, menu, told, shadow, until } = extension;
  await visit("clipped");
  await menu("image", { srcUrl: `${site.url}dark.png` });
  assert.equal(await told(), lines(TEXT));
  /** Whether the words that can be hit are those in the box and below the header; how many of all. */
  const hit = async () => {
    const seen = await page.evaluate(() => {
      const box = document.querySelector("#box").getBoundingClientRect();
      return { left: box.left, right: box.left + 585, top: Math.max(60, box.top), bottom: box.top + 205 };
    });
    const words = await shadow((root) => {
      const bar = root.querySelector(".bar").getBoundingClientRect();
      return [...root.querySelectorAll(".word")].flatMap((word) => {
        const { left, right, top, bottom } = word.getBoundingClientRect();
        const [x, y] = [(left + right) / 2, (top + bottom) / 2];
        if (x > bar.left && x < bar.right && y > bar.top && y < bar.bottom) return [];
        return [{ x, y, hit: root.elementFromPoint(x, y)?.classList.contains("word") ?? false }];
      });
    });
    const within = ({ x, y }) => x > seen.left && x < seen.right && y > seen.top && y < seen.bottom;
    return words.every((word) => word.hit === within(word)) && words.filter((word) => word.hit).length;
  };
  const all = await until(hit);
  await page.evaluate(() => document.querySelector("#box").scrollTo(0, 95));
  const scrolled = await until(async () => { const n = await hit(); return n !== all && n; }); // prettier-ignore
  await page.evaluate(() => scrollTo(0, 120));
  await until(async () => { const n = await hit(); return n !== false && n < scrolled && n > 0; }); // prettier-ignore
  // Below the header altogether, its bar goes with it.
  await page.evaluate(() => scrollTo(0, 250));
  await until(() => shadow((root) => getComputedStyle(root.querySelector(".bar")).visibility === "hidden"));
  await page.keyboard.press("Escape");
});

test("a page that zooms itself", async () => {
  const { page, visit, menu, told, shadow } = extension;
  await visit("image");
  await page.evaluate(() => (document.documentElement.style.zoom = 1.25));
  await menu("image", { srcUrl: `${site.url}dark.png` });
  assert.equal(await told(), lines(TEXT));
  const { x, y, width, height } = await spot();
  const frame = await shadow((root) => root.querySelector(".frame").getBoundingClientRect().toJSON());
  const words = await shadow((root) => [...root.querySelectorAll(".word")].map((word) => word.getBoundingClientRect().toJSON())); // prettier-ignore
  const near = (a, b) => Math.abs(a - b) < 2;
  assert.ok(near(frame.x, x) && near(frame.y, y) && near(frame.width, width) && near(frame.height, height), JSON.stringify(frame)); // prettier-ignore
  assert.ok(words.every((word) => word.x > x - 3 && word.right < x + width + 3 && word.y > y - 3 && word.bottom < y + height + 3)); // prettier-ignore
  await drag({ x: x + 20, y: y + 20, width: 400, height: 100 }, async () => {
    const hole = await shadow((root) => root.querySelector(".hole").getBoundingClientRect().toJSON());
    assert.ok(near(hole.x, x + 20) && near(hole.y, y + 20) && near(hole.width, 400), JSON.stringify(hole));
  });
  assert.match(await told(), /cargo build/);
});

test("a picture in a shadow tree", async () => {
  const { page, visit, menu, told } = extension;
  await visit("image");
  await page.evaluate(() => {
    const host = document.body.appendChild(document.createElement("div"));
    host.attachShadow({ mode: "open" }).append(document.querySelector("#it"));
  });
  await menu("image", { srcUrl: `${site.url}dark.png` });
  assert.equal(await told(), lines(TEXT));
});

test("the keyboard chooses, too, and stops", async () => {
  const { page, visit, picking, told, shadow } = extension;
  await visit("two");
  // Away from the pictures.
  await page.mouse.move(990, 790);
  await picking();
  await page.keyboard.press("Escape");
  assert.equal(await shadow(() => 1), null);
  await picking();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert.equal(await told(), lines(TEXT));
});

test("all that is visible, and what was drawn before gives way", async () => {
  const { page, visit, menu, picking, told } = extension;
  await visit("two");
  await picking();
  await menu("visible");
  const text = await told();
  assert.ok(text.includes("Compiling serde"), text);
  assert.equal(await page.evaluate(() => document.querySelectorAll("html > div").length), 1);
});

test("a picture in a frame, whose place is told from the window's", async () => {
  const { page, visit, menu, told, background } = extension;
  await visit("frame");
  const frames = await (
    await background()
  ).evaluate(async () => {
    const [tab] = await chrome.tabs.query({ active: true, lastFocusedWindow: true });
    return (await chrome.scripting.executeScript({ target: { tabId: tab.id, allFrames: true }, func: () => location.pathname })).map(({ frameId, result }) => [result, frameId]); // prettier-ignore
  });
  const [, frameId] = frames.find(([path]) => path === "/image");
  await menu("image", { srcUrl: `${site.url}dark.png`, frameId });
  assert.equal(await told(), lines(TEXT));
  await page.keyboard.press("Escape");
});

test("a frame of another site is read as the tab shows it", async () => {
  const { page, visit, menu, told, shadow, until } = extension;
  await visit("foreign-frame");
  // No script gets in: a part is chosen instead.
  await menu("image", { srcUrl: `${site.other}dark.png`, frameId: 12345 });
  await until(() => shadow((root) => root.querySelector(".layer") !== null));
  await page.mouse.move(...(await spot()).middle);
  await page.mouse.click(...(await spot()).middle);
  assert.equal(await told(), lines(TEXT));
});

test("pages from right to left, fitted pictures, those far below", async () => {
  const { visit, menu, told, shadow } = extension;
  for (const [name, picture] of [
    ["rtl", "dark.png"],
    ["fitted", "dark.png"],
    ["long", "dark.png"],
  ]) {
    await visit(name);
    await menu("image", { srcUrl: `${site.url}${picture}` });
    assert.equal(await told(), lines(commandsText(picture)), name);
    const { x, y, width, height } = await spot();
    const first = await shadow((root) => root.querySelector(".word").getBoundingClientRect().toJSON());
    assert.ok(first.x > x - 3 && first.right < x + width + 3 && first.y > y - 3 && first.bottom < y + height + 3, name);
  }
});

test("a zoomed page", async () => {
  const { visit, menu, told, background, page } = extension;
  const zoom = async (factor) =>
    (await background()).evaluate(async (to) => {
      const [tab] = await chrome.tabs.query({ active: true, lastFocusedWindow: true });
      await chrome.tabs.setZoom(tab.id, to);
    }, factor);
  await visit("fine");
  await zoom(2);
  try {
    await page.waitForFunction(() => innerWidth === 500);
    await menu("image", { srcUrl: `${site.other}dark.png` });
    const text = await told();
    assert.match(text, /cargo build[^]*Compiling serde[^]*warning: unused variable/);
  } finally {
    await zoom(1);
  }
});

test("the background ends in the middle of the work, and the text comes all the same", async () => {
  const { visit, menu, told, browser, shadow } = extension;
  await visit("large");
  await menu("image", { srcUrl: `${site.url}columns.png` });
  for (;;) {
    const says = await shadow((root) => root.querySelector(".says")?.textContent ?? "");
    if (/\d+ of \d+ lines/.test(says ?? "")) break;
    await new Promise((next) => setTimeout(next, 20));
  }
  const { targetInfos } = await browser.send("Target.getTargets", { filter: [{}] });
  const worker = targetInfos.find(({ type }) => type === "service_worker");
  assert.ok(worker);
  await browser.send("Target.closeTarget", { targetId: worker.targetId });
  // Of so many lines one or another is read otherwise with another processor's arithmetic.
  assert.match(await told(), /^The LinnSequencer\n32 Track MIDI[^]*\nLinn Electronics, Inc\./);
  // And it comes back for the next one.
  await visit("image");
  await menu("image", { srcUrl: `${site.url}dark.png` });
  assert.equal(await told(), lines(TEXT));
});

test("nothing is read on a site where it is turned off", async () => {
  const { context, id, page, visit, menu, told, shadow, background } = extension;
  const options = await context.newPage();
  await options.goto(`chrome-extension://${id}/options.html`);
  const field = options.getByRole("textbox", { name: "Site, such as example.org" });
  await field.fill("no site");
  await options.getByRole("button", { name: "Add" }).click();
  await options.getByText("This isn't a site.").waitFor();
  await field.fill("http://127.0.0.1/page");
  await options.getByRole("button", { name: "Add" }).click();
  const remove = options.getByRole("button", { name: "Remove 127.0.0.1" });
  await remove.waitFor();
  await visit("image");
  await menu("image", { srcUrl: `${site.url}dark.png` });
  const badge = async () =>
    (await background()).evaluate(async () => {
      const [tab] = await chrome.tabs.query({ active: true, lastFocusedWindow: true });
      return chrome.action.getBadgeText({ tabId: tab.id });
    });
  for (const end = Date.now() + 20_000; (await badge()) !== "–";) assert.ok(Date.now() < end, "no badge");
  assert.equal(await shadow(() => 1), null);
  await options.bringToFront();
  await remove.click();
  await options.getByText("None. Use the toolbar button").waitFor();
  await options.close();
  await visit("image");
  await menu("image", { srcUrl: `${site.url}dark.png` });
  assert.equal(await told(), lines(TEXT));
  await page.keyboard.press("Escape");
});

test("the side panel shows what is read meanwhile", async () => {
  const { context, id, page, visit, menu, told } = extension;
  const panel = await context.newPage();
  await panel.goto(`chrome-extension://${id}/panel.html`);
  await panel.getByText("What you read appears here.").waitFor();
  await panel.locator('main[aria-busy="false"]').waitFor();
  const entries = panel.locator("li .entry");
  const before = await entries.count();
  await visit("image");
  await menu("image", { srcUrl: `${site.url}dark.png` });
  await told();
  await entries.nth(before).waitFor();
  await entries.first().click();
  assert.equal(await panel.locator(".whole pre").first().textContent(), TEXT);
  await panel.close();
  await page.keyboard.press("Escape");
});

test("the popup lists what was read, finds it, and forgets it", async () => {
  const { context, id } = extension;
  const popup = await context.newPage();
  await popup.goto(`chrome-extension://${id}/popup.html`);
  const items = popup.locator("li .entry");
  await items.first().waitFor();
  await popup.getByRole("searchbox").fill("COMPILING");
  await items.first().click();
  assert.equal(await popup.locator(".whole pre").first().textContent(), TEXT);
  await popup.getByRole("searchbox").fill("nobody wrote this");
  await popup.getByText("Nothing found").waitFor();
  await popup.getByRole("button", { name: "Clear" }).click();
  await popup.getByText("What you read is listed here").waitFor();
  await popup.getByText(/^The engine uses [1-9]\d+ MB of memory\.$/).waitFor();
  await popup.setViewportSize({ width: 280, height: 480 });
  const wide = () => [document.documentElement, document.querySelector("main")].map((one) => one.scrollWidth - one.clientWidth); // prettier-ignore
  assert.deepEqual(await popup.evaluate(wide), [0, 0]);
  await popup.close();
});

test("who switches the history off has none", async () => {
  const { context, id, visit, menu, told, until } = extension;
  const options = await context.newPage();
  await options.goto(`chrome-extension://${id}/options.html`);
  await options.getByLabel("Keep a history").uncheck();
  const kept = () => options.evaluate(async () => (await chrome.storage.local.get("keepHistory")).keepHistory);
  await until(async () => (await kept()) === false);
  await options.close();
  await visit("image");
  await menu("image", { srcUrl: `${site.url}dark.png` });
  await told();
  const popup = await context.newPage();
  await popup.goto(`chrome-extension://${id}/popup.html`);
  await popup.getByText("What you read is listed here").waitFor();
  await popup.close();
});

test("pages can't drive it", async () => {
  const { page, visit, id, shadow } = extension;
  await visit("image");
  await page.evaluate(() => {
    for (const kind of ["wake", "start", "capture", "settings"]) {
      postMessage({ kind, action: "visible", tab: 1 }, "*");
      dispatchEvent(new CustomEvent(kind, { detail: { action: "visible" } }));
    }
    const keys = { key: "O", code: "KeyO", altKey: true, shiftKey: true, bubbles: true };
    document.dispatchEvent(new KeyboardEvent("keydown", keys));
  });
  const tried = await page.evaluate(async (extensionId) => {
    const answers = [typeof globalThis.maoocr, typeof globalThis.chrome?.runtime?.sendMessage];
    for (const file of ["content.js", "popup.html", "models.json"]) {
      answers.push(
        await fetch(`chrome-extension://${extensionId}/${file}`).then(
          () => "read",
          () => "refused",
        ),
      );
    }
    return answers;
  }, id);
  assert.deepEqual(tried, ["undefined", "undefined", "refused", "refused", "refused"]);
  assert.equal(await shadow(() => 1), null);
  extension.faults.length = 0;
});

test("a screen of two pixels for each of the page's, and copying on a page without https", async () => {
  // The browser's own, not an emulated one: what is captured has all of its pixels.
  const flags = ["--force-device-scale-factor=2", "--window-size=1000,800"];
  const resolver = "--host-resolver-rules=MAP harbour.test 127.0.0.1";
  const other = await launchExtension(site, { viewport: null, flags: [...flags, resolver] });
  const { page, context, visit, menu, told, shadow, until } = other;
  try {
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await visit("fine");
    assert.equal(await page.evaluate(() => devicePixelRatio), 2);
    await menu("image", { srcUrl: `${site.other}dark.png` });
    assert.match(await told(), /cargo build[^]*Compiling serde[^]*warning: unused variable/);
    assert.deepEqual(other.faults, []);

    const insecure = site.url.replace("127.0.0.1", "harbour.test");
    await visit("image", insecure);
    assert.equal(await page.evaluate(() => typeof navigator.clipboard), "undefined");
    await page.evaluate(() => {
      globalThis.heard = [];
      for (const name of ["copy", "selectionchange"])
        document.addEventListener(name, () => globalThis.heard.push(`${name} ${getSelection()}`));
    });
    await menu("image", { srcUrl: `${insecure}dark.png` });
    assert.equal(await told(), lines(TEXT));
    await page.keyboard.press("Enter");
    await until(() => shadow((root) => root.querySelector("button.main").textContent === "Copied"));
    assert.deepEqual(await page.evaluate(() => globalThis.heard), []);
    await visit("image");
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), TEXT);
  } finally {
    await other.end();
  }
});

test("every word is there, in both languages, and none too many", () => {
  const folder = resolve(DIST, "..");
  const words = (locale) => JSON.parse(readFileSync(join(folder, `public/_locales/${locale}/messages.json`), "utf8"));
  const [english, chinese] = ["en", "zh_CN"].map(words);
  const shapes = (messages) => Object.entries(messages).map(([key, { placeholders = {} }]) => [key, Object.keys(placeholders)]); // prettier-ignore
  assert.deepEqual(shapes(chinese), shapes(english));
  const sources = ["src", "build"].flatMap((from) =>
    readdirSync(join(folder, from), { recursive: true })
      .filter((name) => /\.(ts|svelte|mjs|html)$/.test(name))
      .map((name) => readFileSync(join(folder, from, name), "utf8")),
  );
  const source = sources.join("\n");
  assert.deepEqual(Object.keys(english).filter((key) => !new RegExp(`["_]${key}["_]`).test(source)), []); // prettier-ignore
  const asked = [...source.matchAll(/\b(?:text|getMessage)\("(\w+)"/g)].map(([, key]) => key);
  assert.deepEqual(asked.filter((key) => !(key in english)), []); // prettier-ignore
});

test("the stores take it: no findings, no large files, the same archives from the same source", () => {
  const modules = resolve(import.meta.dirname, "../../node_modules");
  const { stdout } = spawnSync(process.execPath, [join(modules, "addons-linter/bin/addons-linter"), "--output", "json", join(DIST, "firefox")], { encoding: "utf8", maxBuffer: 1e8 }); // prettier-ignore
  const { errors, warnings, notices } = JSON.parse(stdout);
  assert.deepEqual({ errors, warnings, notices }, { errors: [], warnings: [], notices: [] });

  const again = mkdtempSync(join(tmpdir(), "maoocr-again-"));
  execFileSync(process.execPath, [resolve(DIST, "../build/build.mjs"), again], { stdio: "pipe" });
  const hashes = (folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith(".zip"))
      .map((name) => [
        name,
        createHash("sha256")
          .update(readFileSync(join(folder, name)))
          .digest("hex"),
      ]);
  assert.equal(hashes(DIST).length, 2);
  assert.deepEqual(hashes(again), hashes(DIST));
  rmSync(again, { recursive: true });
});
