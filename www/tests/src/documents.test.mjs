// PDFs and documents: their own text, structure, exports, and what the command says of the same files.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";

import { unzipSync, strFromU8 } from "fflate";

import { appTests, exported, go, kept, PHONE, saved, until } from "./app.mjs";
import { choose, pick, readText } from "./browser.mjs";
import { commandForm, pdfOf, sample, textOfPdf } from "./samples.mjs";

const app = appTests();

const STYLE = `<style>
  body { font: 11pt/1.5 "DejaVu Serif", "Noto Sans CJK SC", serif; margin: 0 }
  h1 { font-size: 22pt } h2 { font-size: 15pt; margin-top: 18pt }
  table { border-collapse: collapse; margin: 10pt 0 } td, th { border: 1pt solid #333; padding: 3pt 8pt; text-align: left }
  .next { break-before: page }
</style>`;

const REPORT = `<!doctype html><html lang="en"><meta charset="utf-8">${STYLE}
<h1>Harbour survey</h1>
<p>The survey was taken over nine days in March, at the same hour of every day, by two people who did not know of each
other’s numbers. What follows is what both of them agreed upon.</p>
<h2>Ships by berth</h2>
<table><tr><th>Berth</th><th>Ships</th><th>Tonnes</th></tr><tr><td>North quay</td><td>41</td><td>12 400</td></tr>
<tr><td>South quay</td><td>17</td><td>3 950</td></tr><tr><td>Dry dock</td><td>2</td><td>610</td></tr></table>
<h2>What is to be done</h2>
<ul><li>Deepen the channel to the south quay.</li><li>Count at night, too.</li><li>Tell the harbour master.</li></ul>
<p class="next">The second page says that the lighthouse was painted white in spring, and that nobody has complained about
it since, although it is hard to see in winter.</p><h2>结论</h2><p>港口的船舶数量每年都在增加，北码头需要更多的人手。</p></html>`;

/** A PDF as a browser prints one, and its path. */
async function printed(html = REPORT, name = "report.pdf") {
  const page = await app.browser.newPage();
  await page.setContent(html);
  const path = join(mkdtempSync(join(tmpdir(), "maoocr-print-")), name);
  writeFileSync(
    path,
    await page.pdf({ format: "A4", margin: { top: "20mm", left: "20mm", right: "20mm", bottom: "20mm" } }),
  );
  await page.close();
  return path;
}

const allRead = (page, pages) => page.getByText(`${pages} of ${pages} pictures`).waitFor();

/** What was read is kept by then: a page that is loaded again doesn't read it once more. */
const allKept = (page) => until(async () => (await kept(page, "waiting")).length === 0);

/** Reads a PDF of several pages and shows the first. */
async function opened(page, path, pages) {
  await pick(page, path);
  await allRead(page, pages);
  await page.locator("li a").first().click();
  await page.locator(".formatted .region").first().waitFor();
}

describe("the same PDF gives the same Markdown as the command", () => {
  for (const [name, pages, make] of [
    ["with its own text", 2, () => printed()],
    ["of scans", 2, () => pdfOf(sample("receipt.jpg"), sample("chinese.jpg"))],
  ])
    test(name, async () => {
      const path = await make();
      await app.visit({}, async (page) => {
        await opened(page, path, pages);
        const { name: file, text } = await exported(page, "Markdown", `Export ${pages} pages`);
        assert.match(file, /\.md$/);
        assert.ok(text.length > 100, text);
        assert.equal(text, commandForm(path, "md"));
      });
    });
});

test("a PDF’s own text is taken, and no model looks for text in it", async () => {
  const path = await printed();
  await app.visit({}, async (page) => {
    await opened(page, path, 2);
    await page.locator("summary").click();
    await page.getByText("the text is the PDF’s own").waitFor();
    assert.match(await readText(page), /by two\npeople who did not know of each other’s numbers/);
    // The detector isn't needed for it.
    assert.ok(!app.sent.some((file) => /tiny-det/.test(file)) || app.sent.some((file) => /tiny-rec/.test(file)));
  });
});

test("headings, lists and tables are shown and copied as such", async () => {
  const path = await printed();
  const context = { permissions: ["clipboard-read", "clipboard-write"] };
  await app.visit({ context }, async (page) => {
    await opened(page, path, 2);
    const formatted = page.getByRole("article", { name: "Formatted text" });
    await formatted.getByRole("heading", { name: "Harbour survey" }).waitFor();
    await formatted.getByRole("heading", { name: "Ships by berth" }).waitFor();
    assert.equal(await formatted.getByRole("listitem").count(), 3);
    assert.equal(await formatted.getByRole("row").count(), 4);
    const clipboard = () =>
      page.evaluate(async () => {
        const [item] = await navigator.clipboard.read();
        const of = async (type) => (await item.getType(type)).text();
        return { html: await of("text/html"), text: await of("text/plain") };
      });
    await formatted.getByRole("button", { name: "Copy table" }).click();
    await page.getByText("Copied", { exact: true }).waitFor();
    const table = await clipboard();
    assert.match(table.text, /^Berth\tShips\tTonnes\nNorth quay\t41\t12 400\n/);
    assert.match(table.html, /<table>.*<t[hd]>North quay<\/t[hd]><t[hd]>41<\/t[hd]>/s);
    await page.getByRole("button", { name: "Copy", exact: true }).click();
    // What is read while it is being written changes under the reader.
    await until(async () => (await clipboard().catch(() => null))?.html.includes("<h1>Harbour survey</h1>"));
    const all = await clipboard();
    assert.match(all.html, /<ul><li>Deepen the channel to the south quay\.<\/li><li>/);
    assert.match(all.html, /<table>/);
    assert.match(all.text, /Berth\tShips\tTonnes/);
  });
});

test("what is exported is made here, and opens elsewhere", async () => {
  const path = await printed();
  await app.visit({}, async (page) => {
    await opened(page, path, 2);
    const file = (form) => saved(page, () => choose(page, "Export 2 pages", form));
    const entry = (zip, name) => strFromU8(unzipSync(zip)[name]);
    const docx = await file("Word (DOCX)");
    assert.match(entry(docx.content, "word/document.xml"), /North quay/);
    assert.match(entry(docx.content, "word/document.xml"), /w:tbl/);
    const xlsx = await file("Excel (XLSX)");
    assert.match(JSON.stringify(Object.keys(unzipSync(xlsx.content))), /worksheets\/sheet1\.xml/);
    assert.match(entry(xlsx.content, "xl/sharedStrings.xml"), /South quay/);
    for (const [form, content] of [
      ["HTML", /<h1[^>]*>Harbour survey/],
      ["hOCR", /class=['"]ocr_page['"]/],
      ["ALTO", /<alto /],
      ["Plain text", /Harbour survey/],
    ])
      assert.match((await file(form)).content.toString("utf8"), content, form);
    // Its text is sound: the PDF stays as it is, up to its outline.
    const pdf = await file("Searchable PDF");
    assert.ok(pdf.content.subarray(0, readFileSync(path).length).equals(readFileSync(path)));
  });
});

test("a scanned PDF becomes searchable", async () => {
  const path = pdfOf(sample("receipt.jpg"), sample("chinese.jpg"));
  await app.visit({}, async (page) => {
    await opened(page, path, 2);
    const { content } = await saved(page, () => choose(page, "Export 2 pages", "Searchable PDF"));
    assert.match(textOfPdf(content), /CORNER BAKERY/);
    assert.equal(textOfPdf(readFileSync(path)).trim(), "");
  });
});

test("many photos become one PDF whose text is found", async () => {
  await app.visit({}, async (page) => {
    await pick(page, sample("receipt.jpg"), sample("photo.png"), sample("chinese.jpg"));
    await allRead(page, 3);
    const { name, content } = await saved(page, () => page.getByRole("button", { name: "One PDF" }).click());
    assert.equal(name, "maoocr.pdf");
    const text = textOfPdf(content);
    assert.equal(text.split("\f").length - 1, 3);
    assert.match(text, /CORNER BAKERY/);
    // A JPEG's data goes in as it is.
    assert.ok(content.includes(readFileSync(sample("receipt.jpg")).subarray(600, 1600)));
  });
});

test("the pages of a file are gone through, and searched together", async () => {
  const path = await printed();
  await app.visit({}, async (page) => {
    await opened(page, path, 2);
    const pages = page.getByRole("navigation", { name: "Pages" });
    assert.equal(await pages.getByRole("link").count(), 2);
    await page.keyboard.press("Control+f");
    await page.getByRole("searchbox").fill("lighthouse");
    await page.getByText("1 match on other pages").waitFor();
    await page.getByRole("link", { name: "Page 2, 1 match", exact: true }).click();
    await page.getByText("Page 2 of 2").waitFor();
    // It is found there at once.
    await page.getByText("1 of 1").waitFor();
    assert.equal(await page.getByRole("searchbox").inputValue(), "lighthouse");
    await page.locator("polygon.match").first().waitFor();
    await pages.getByRole("link", { name: /^Page 1 of 2/ }).click();
    await page.getByText("Page 1 of 2").waitFor();
  });
});

test("a correction is in what is exported", async () => {
  const path = await printed();
  await app.visit({}, async (page) => {
    await opened(page, path, 2);
    const text = await readText(page);
    await page.getByRole("textbox", { name: "All text" }).fill(text.replace("South quay", "Sooth quay"));
    await page.getByRole("textbox", { name: "All text" }).blur();
    await page.getByRole("button", { name: "Formatted text" }).click();
    await page.getByRole("cell", { name: "Sooth quay" }).waitFor();
    assert.match((await exported(page, "Markdown", "Export 2 pages")).text, /\| Sooth quay \|/);
  });
});

test("the module for documents is fetched for documents only, and works offline from then on", async () => {
  const path = await printed();
  const asked = () => app.sent.filter((file) => /maoocr_documents_bg/.test(file)).length;
  await app.visit({}, async (page, context) => {
    await pick(page, sample("receipt.jpg"));
    await readText(page);
    await page.waitForTimeout(1500);
    assert.equal(asked(), 0);
    // A photo's table or heading: an export asks for it.
    assert.match((await exported(page, "Markdown")).text, /CORNER BAKERY/);
    assert.equal(asked(), 1);
    await page.evaluate(() => navigator.serviceWorker.ready);
    await go(page, "#/");
    await allKept(page);
    await page.reload();
    await pick(page, path);
    await allRead(page, 2);
    await allKept(page);
    await context.setOffline(true);
    await app.server.stop();
    await page.reload();
    await go(page, "#/");
    await pick(page, await printed(REPORT.replaceAll("North", "West")));
    await allRead(page, 2);
    await page.locator("li a").first().click();
    await page.getByRole("cell", { name: "West quay" }).waitFor();
    await exported(page, "Markdown", "Export 2 pages");
  });
});

test("a document on a phone: nothing is cut off, and its pages are in reach", async () => {
  const path = await printed();
  await app.visit({ context: { ...PHONE, viewport: { width: 360, height: 740 } } }, async (page) => {
    await opened(page, path, 2);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link").nth(1).click();
    await page.getByText("Page 2 of 2").waitFor();
  });
});
