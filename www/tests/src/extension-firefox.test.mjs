// The extension in Firefox, by way of the browser's own menus: it reads what the command reads, and asks nobody.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";

import { commandsText, DIST, lines, PATIENCE, sites } from "./extension.mjs";
import { launchFirefox } from "./firefox.mjs";
import { commandLines, pdfOf, sample } from "./samples.mjs";

// On CI it is there: xtask installs it.
const skip =
  existsSync(process.env.FIREFOX ?? "/usr/bin/firefox-esr") || process.env.CI ? false : "Firefox isn't installed";
const TEXT = commandsText("dark.png");
const IMAGE = "Text from this picture";
const PICK = "Text from a part of the page…";
const SCAN = pdfOf(sample("receipt.jpg"), sample("chinese.jpg"));

let site = null;
let firefox = null;
before(async () => {
  if (skip) return;
  site = await sites({ "scan.pdf": SCAN });
  // The background is to end soon, but not because a busy machine lets a heartbeat wait.
  firefox = await launchFirefox(join(DIST, "firefox"), { idle: 5000 });
});
afterEach(async () => {
  if (!skip) assert.deepEqual(await firefox.asked(), []);
});
after(async () => {
  await firefox?.end();
  site?.stop();
});

/** What is drawn into the page. */
const seen = () =>
  firefox.page(() => {
    const root = [...document.documentElement.children].map((element) => element.openOrClosedShadowRoot).find(Boolean);
    return (
      root && {
        rows: [...root.querySelectorAll(".row")].map((row) => row.textContent),
        field: root.querySelector("textarea:not([hidden])")?.value ?? "",
        says: root.querySelector(".says")?.textContent ?? "",
        wrong: root.querySelector(".wrong") !== null,
        picking: root.querySelector(".layer") !== null,
      }
    );
  });

async function until(condition) {
  for (const end = Date.now() + PATIENCE; ; await new Promise((next) => setTimeout(next, 100))) {
    const found = await seen();
    const value = found && condition(found);
    if (value) return value;
    assert.ok(!found?.wrong, found?.says);
    assert.ok(Date.now() < end, `never: ${condition}; ${JSON.stringify(found)}`);
  }
}

const told = () => until(({ rows, field }) => rows.join("\n") || field);

const spot = () =>
  firefox.page(() => {
    const { x, y, width, height } = document.querySelector("#it").getBoundingClientRect();
    return { x, y, width, height };
  });

/** Pressed in the page, keys of a driver don't get as far as the window's own. */
const shortcut = () =>
  firefox.chrome(() => document.querySelector("keyset[id*=maoocr] key[modifiers*=shift]").doCommand());

test("a picture, chosen in the menu", { skip }, async () => {
  await firefox.visit(`${site.url}image`);
  await firefox.menu("#it", IMAGE);
  assert.equal(await told(), lines(TEXT));
});

test("another site's picture under a strict policy", { skip }, async () => {
  await firefox.visit(`${site.url}foreign`);
  await firefox.menu("#it", IMAGE);
  assert.equal(await told(), lines(TEXT));
});

test("a background that is clicked, and a part that is dragged around", { skip }, async () => {
  await firefox.visit(`${site.url}background`);
  const { x, y, width, height } = await spot();
  const middle = [x + width / 2, y + height / 2];
  await firefox.menu("#it", PICK);
  await until(({ picking }) => picking);
  await firefox.drag(middle, middle);
  assert.equal(await told(), lines(TEXT));
  await firefox.menu("#it", PICK);
  await until(({ picking }) => picking);
  await firefox.drag([x, y], [x + width, y + height]);
  assert.equal(await told(), TEXT);
});

for (const [name, exact] of [
  ["canvas", true],
  ["svg", true],
  ["video", false],
  ["foreign-frame", true],
]) {
  test(`what a click chooses: ${name}`, { skip }, async () => {
    await firefox.visit(`${site.url}${name}`);
    const { x, y, width, height } = await spot();
    await shortcut();
    await until(({ picking }) => picking);
    await firefox.drag([x + width / 2, y + height / 2], [x + width / 2, y + height / 2]);
    const text = await told();
    // A video's colours are rounded on their way.
    if (exact) assert.equal(text, lines(TEXT));
    else assert.match(text, /cargo build[^]*Compiling serde/);
  });
}

test("one of several sources, a page from right to left, a zoomed page", { skip }, async () => {
  for (const name of ["art", "rtl"]) {
    await firefox.visit(`${site.url}${name}`);
    await firefox.menu("#it", IMAGE);
    assert.equal(await told(), lines(TEXT), name);
  }
  await firefox.visit(`${site.url}fine`);
  await firefox.chrome(() => (window.ZoomManager.zoom = 2));
  try {
    await firefox.menu("#it", IMAGE);
    assert.match(await told(), /cargo build[^]*Compiling serde/);
  } finally {
    await firefox.chrome(() => (window.ZoomManager.zoom = 1));
  }
  // Zoomed by its own style.
  await firefox.visit(`${site.url}image`);
  await firefox.page(() => (document.documentElement.style.zoom = 1.25));
  await firefox.menu("#it", IMAGE);
  assert.equal(await told(), lines(TEXT));
  const off = await firefox.page(() => {
    const root = [...document.documentElement.children].map((element) => element.openOrClosedShadowRoot).find(Boolean);
    const [frame, picture] = [root.querySelector(".frame"), document.querySelector("#it")].map((one) => one.getBoundingClientRect()); // prettier-ignore
    return ["x", "y", "width", "height"].map((name) => Math.abs(frame[name] - picture[name]));
  });
  assert.ok(off.every((px) => px < 2), off.join()); // prettier-ignore
});

test("the keyboard's shortcut", { skip }, async () => {
  await firefox.visit(`${site.url}background`);
  await shortcut();
  await until(({ picking }) => picking);
  const { x, y, width, height } = await spot();
  await firefox.drag([x, y], [x + width, y + height]);
  assert.equal(await told(), TEXT);
});

test("a whole page, by scrolling", { skip }, async () => {
  await firefox.visit(`${site.url}tall`);
  await firefox.menu("body", "Text from the whole page");
  const text = await told();
  const numbers = [...text.matchAll(/^Line (\d+) of the harbour report$/gm)].map(([, n]) => Number(n));
  assert.deepEqual(numbers, Array.from({ length: 60 }, (_, i) => i + 1), text); // prettier-ignore
  assert.equal(text.split("Navigation bar").length, 2, text);
  assert.equal(await firefox.page(() => scrollY), 0);
});

test("a PDF is opened in the reader, once the person lets the extension to its site", { skip }, async () => {
  await firefox.goTo(`${site.url}scan.pdf`);
  await firefox.menu("body", "Text from this PDF");
  await firefox.switchTo("/reader.html");
  const has = async (condition, ...args) => {
    for (const end = Date.now() + PATIENCE; !(await firefox.page(condition, ...args));) {
      assert.ok(Date.now() < end, await firefox.page(() => document.body.innerText));
      await new Promise((next) => setTimeout(next, 100));
    }
  };
  await has(() => document.querySelector("main button.main") !== null);
  await firefox.click("main button.main");
  await has(() => document.body.innerText.includes("2 of 2 pages read"));
  const pages = await firefox.page(() =>
    [...document.querySelectorAll("section")].map((page) =>
      [...page.querySelectorAll(".row")].map((row) => row.textContent).join("\n"),
    ),
  );
  const expected = commandLines(SCAN, join(DIST, "firefox/models"));
  assert.deepEqual(pages, expected);
  // The file is all that was asked for.
  assert.ok((await firefox.asked()).every((url) => url === `${site.url}scan.pdf`));
  await firefox.close();
  await firefox.switchTo("/scan.pdf");
});

test("the background doesn't end while it reads, and does when it has nothing to do", { skip }, async () => {
  await firefox.visit(`${site.url}large`);
  await firefox.menu("#it", IMAGE);
  assert.match(await told(), /^The LinnSequencer\n32 Track MIDI[^]*\nLinn Electronics, Inc\./);
  const state = () => firefox.chrome(() => WebExtensionPolicy.getByID("maoocr@maoocr.org").extension.backgroundState);
  for (
    const end = Date.now() + PATIENCE;
    (await state()) !== "stopped";
    await new Promise((next) => setTimeout(next, 200))
  )
    assert.ok(Date.now() < end, await state());
  await firefox.visit(`${site.url}image`);
  await firefox.menu("#it", IMAGE);
  assert.equal(await told(), lines(TEXT));
});
