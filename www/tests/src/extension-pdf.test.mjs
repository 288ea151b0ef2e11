// The extension's reader of PDFs in Chromium: it reads what the command reads in the same file, and asks nobody.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";

import axe from "axe-core";

import { DIST, launchExtension, sites } from "./extension.mjs";
import { commandForm, commandLines, lockedPdf, pdfOf, sample, textOfPdf } from "./samples.mjs";

const SCAN = pdfOf(sample("receipt.jpg"), sample("chinese.jpg"));
const MODELS = join(DIST, "chrome/models");

let site = null;
let extension = null;
before(async () => {
  site = await sites({ "scan.pdf": SCAN });
  extension = await launchExtension(site);
});
afterEach(() => assert.deepEqual(extension.faults, []));
after(async () => {
  await extension?.end();
  site?.stop();
});

/** Shows the PDF in the browser's own viewer, does something there, and gives the reader that it opens. */
async function readerOf(opens) {
  const { page, context } = extension;
  await page.goto(`${site.url}scan.pdf`);
  const opening = context.waitForEvent("page", (opened) => opened.url().includes("/reader.html"));
  await opens();
  return opening;
}

/** The reader without a tab that it belongs to. */
async function emptyReader(search = "") {
  const reader = await extension.context.newPage();
  await reader.goto(`chrome-extension://${extension.id}/reader.html${search}`);
  return reader;
}

const allRead = (reader) => reader.getByText("2 of 2 pages read").waitFor();
const rows = (reader) =>
  reader
    .locator("section")
    .evaluateAll((pages) =>
      pages.map((page) => [...page.querySelectorAll(".row")].map((row) => row.textContent).join("\n")),
    );

async function saved(reader, form) {
  await reader.getByRole("combobox", { name: "Save as" }).selectOption(form);
  const [download] = await Promise.all([
    reader.waitForEvent("download"),
    reader.getByRole("button", { name: "Save" }).click(),
  ]);
  return { name: download.suggestedFilename(), content: readFileSync(await download.path()) };
}

test("the PDF that a tab shows is read page by page, as the command reads it", async () => {
  const { context, popup } = extension;
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const reader = await readerOf(async () => {
    const run = await popup();
    await run(async () => {
      const wanted = ({ textContent }) => textContent === "Text from this PDF";
      for (;;) {
        const button = [...document.querySelectorAll("button")].find(wanted);
        if (button) return button.click();
        await new Promise((next) => setTimeout(next, 50));
      }
    });
  });
  await allRead(reader);
  assert.equal(await reader.title(), "scan.pdf");
  const expected = commandLines(SCAN, MODELS);
  assert.deepEqual(await rows(reader), expected);
  await reader.getByRole("button", { name: "Copy all" }).click();
  const copied = await reader.evaluate(() => navigator.clipboard.readText());
  const words = (text) => text.split(/\s+/).filter(Boolean);
  assert.deepEqual(words(copied), words(expected.join("\n")));

  // Each word lies on its page, and the pages in view are drawn.
  const within = await reader
    .locator("section .sheet")
    .first()
    .evaluate((sheet) => {
      const { left, top, right, bottom } = sheet.getBoundingClientRect();
      const boxes = [...sheet.querySelectorAll(".word")].map((word) => word.getBoundingClientRect());
      return boxes.length > 5 && boxes.every((b) => b.left > left - 4 && b.top > top - 4 && b.right < right + 4 && b.bottom < bottom + 4); // prettier-ignore
    });
  assert.ok(within);
  await reader.locator("section img").first().waitFor();

  const markdown = await saved(reader, "md");
  assert.equal(markdown.name, "scan.md");
  assert.equal(markdown.content.toString("utf8"), commandForm(SCAN, "md", MODELS));
  assert.match(textOfPdf((await saved(reader, "pdf")).content), /CORNER BAKERY/);
  await reader.close();
});

test("nothing is drawn or read of what is turned off, and pages without PDFs need no module", async () => {
  const { context, background, page, menu, visit, told } = extension;
  const modules = [];
  const heard = (request) => modules.push(request.url());
  context.on("request", heard);
  await visit("image");
  await menu("image", { srcUrl: `${site.url}dark.png` });
  await told();
  assert.deepEqual(modules.filter((url) => url.includes("maoocr_documents")), []); // prettier-ignore
  context.off("request", heard);

  await (await background()).evaluate(() => chrome.storage.local.set({ sitesOff: ["127.0.0.1"] }));
  await page.goto(`${site.url}scan.pdf`);
  await extension.allow();
  const before = context.pages().length;
  await menu("pdf");
  const badge = async () =>
    (await background()).evaluate(async () => {
      const [tab] = await chrome.tabs.query({ active: true, lastFocusedWindow: true });
      return chrome.action.getBadgeText({ tabId: tab.id });
    });
  for (const end = Date.now() + 20_000; (await badge()) !== "–";) assert.ok(Date.now() < end, "no badge");
  assert.equal(context.pages().length, before);
  await (await background()).evaluate(() => chrome.storage.local.set({ sitesOff: [] }));
});

test("a reader that outlived its tab asks for access, or takes a file", async () => {
  const address = encodeURIComponent(`${site.url}scan.pdf`);
  const reader = await emptyReader(`?tab=999999&address=${address}`);
  await reader.getByRole("button", { name: "Allow access to 127.0.0.1" }).waitFor();
  await reader.getByLabel("PDF file").setInputFiles(sample("receipt.jpg"));
  await reader.getByText("This isn't a PDF. Choose another file.").waitFor();
  const broken = Buffer.from("%PDF-1.7\n1 0 obj <</Type /Catalog");
  await reader
    .getByLabel("PDF file")
    .setInputFiles({ name: "broken.pdf", mimeType: "application/pdf", buffer: broken });
  await reader.getByRole("alert").filter({ hasText: "The file is damaged" }).waitFor();
  await reader.getByLabel("PDF file").setInputFiles(SCAN);
  await allRead(reader);
  await reader.close();
});

test("a password is asked for", async () => {
  const reader = await emptyReader();
  await reader.getByLabel("PDF file").setInputFiles(lockedPdf(SCAN, "harbour"));
  const field = reader.getByLabel("The PDF is protected by a password.");
  await field.fill("lighthouse");
  await reader.keyboard.press("Enter");
  await reader.getByText("That isn't the password of this PDF.").waitFor();
  await field.fill("harbour");
  await reader.keyboard.press("Enter");
  await allRead(reader);
  await reader.close();
});

test("with the keyboard alone, and as a screen reader meets it", async () => {
  const reader = await emptyReader();
  const check = async (state) => {
    await reader.evaluate(axe.source);
    const { violations } = await reader.evaluate(() => globalThis.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })); // prettier-ignore
    const told = violations.flatMap(({ id, nodes }) => nodes.map((n) => `${state}: ${id}: ${n.html.slice(0, 160)} ${n.failureSummary}`)); // prettier-ignore
    assert.deepEqual(told, []);
  };
  await check("empty");
  await reader.getByLabel("PDF file").setInputFiles(SCAN);
  // Stopped, and read on from where it was.
  await reader.getByRole("button", { name: "Stop" }).press("Enter");
  const rest = reader.getByRole("button", { name: "Read the rest" });
  await rest.waitFor();
  await rest.press("Enter");
  await allRead(reader);
  await check("read");
  await reader.getByRole("heading", { name: "Page 2 of 2" }).waitFor();
  await reader.evaluate(() => document.activeElement?.blur());
  const reached = [];
  while (reached.at(-1) !== "Save") {
    await reader.keyboard.press("Tab");
    reached.push(await reader.evaluate(() => document.activeElement?.ariaLabel ?? document.activeElement?.textContent));
    assert.ok(reached.length < 10, reached.join());
  }
  const [download] = await Promise.all([reader.waitForEvent("download"), reader.keyboard.press("Enter")]);
  assert.equal(download.suggestedFilename(), "scan.pdf");
  await reader.close();
});
