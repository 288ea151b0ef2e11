// The app around its screens: versions, sharing, languages, size.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import { appTests, go, home, until } from "./app.mjs";
import { open, pick, readText } from "./browser.mjs";
import { sample } from "./samples.mjs";
import { DIST, serve } from "./serve.mjs";

const app = appTests();

describe("the app", () => {
  test("tells of a new version, and takes it when told to", async () => {
    await app.visit({}, async (page) => {
      await page.getByText("Ready to work offline").waitFor();
      const worker = readFileSync(join(DIST, "sw.js"));
      app.answer = (request, response) => {
        if (request.url !== "/sw.js") return false;
        response.writeHead(200, { "content-type": "text/javascript", "cache-control": "no-cache" });
        response.end(`${worker}\n// another version`);
        return true;
      };
      await page.evaluate(async () => {
        window.before = true;
        await (await navigator.serviceWorker.ready).update();
      });
      await page.getByText("A new version is ready.").waitFor();
      assert.ok(await page.evaluate(() => window.before), "it isn't forced");
      const { left, bottom } = await page
        .locator(".notice")
        .last()
        .evaluate((e) => e.getBoundingClientRect());
      assert.ok(left < 40 && bottom > 800, "notices are in the corner without buttons");
      // Whoever doesn't want it now finds it in the settings.
      await page.locator(".notice", { hasText: "A new version" }).getByRole("button", { name: "Close" }).click();
      await go(page, "#/settings");
      await page.getByRole("button", { name: "Update now" }).click();
      await page.waitForFunction(() => !window.before);
      await page.getByRole("heading", { name: "Settings" }).waitFor();
    });
  });

  test("asks before it is closed with pictures that wait", async () => {
    await app.visit({}, async (page) => {
      // What is kept goes on by itself the next time.
      await go(page, "#/settings");
      await page.getByText("Keep pictures and text in the history").click();
      await home(page);
      await pick(page, sample("columns.png"), sample("receipt.jpg"));
      await page.getByRole("button", { name: "Pause" }).click();
      const [dialog] = await Promise.all([page.waitForEvent("dialog"), page.close({ runBeforeUnload: true })]);
      assert.equal(dialog.type(), "beforeunload");
      await dialog.dismiss();
      await page.getByRole("button", { name: "Resume" }).click();
      await page.getByText("2 of 2 pictures").waitFor();
      await page.close({ runBeforeUnload: true });
      await until(() => page.isClosed());
    });
  });

  test("takes a new version only in tabs that have nothing to lose, or where the person says so", async () => {
    await app.visit({}, async (page, context) => {
      await page.getByText("Ready to work offline").waitFor();
      const [reading, idle] = [await context.newPage(), await context.newPage()];
      for (const tab of [reading, idle]) await tab.goto(app.server.url);
      await pick(reading, sample("receipt.jpg"));
      await readText(reading);
      const worker = readFileSync(join(DIST, "sw.js"));
      app.answer = (request, response) => {
        if (request.url !== "/sw.js") return false;
        response.writeHead(200, { "content-type": "text/javascript", "cache-control": "no-cache" });
        response.end(`${worker}\n// another version`);
        return true;
      };
      for (const tab of [page, reading, idle]) await tab.evaluate(() => (window.before = true));
      await page.evaluate(async () => (await navigator.serviceWorker.ready).update());
      await page.getByRole("button", { name: "Update now" }).click();
      for (const tab of [page, idle]) await tab.waitForFunction(() => !window.before);
      await reading.getByText("A new version is ready.").waitFor();
      assert.ok(await reading.evaluate(() => window.before));
      await reading.getByRole("button", { name: "Update now" }).click();
      await reading.waitForFunction(() => !window.before);
    });
  });

  test("opened by a shortcut while it is open shows that screen", async () => {
    const init = () => {
      const launchQueue = { setConsumer: (consumer) => (window.launched = consumer) };
      Object.defineProperty(window, "launchQueue", { value: launchQueue });
    };
    await app.visit({ init }, async (page) => {
      await page.waitForFunction(() => window.launched);
      await page.evaluate((targetURL) => window.launched({ files: [], targetURL }), `${app.server.url}#/history`);
      await page.getByRole("heading", { name: "History" }).waitFor();
      await page.evaluate((targetURL) => window.launched({ files: [], targetURL }), app.server.url);
      assert.equal(new URL(page.url()).hash, "#/history");
    });
  });

  test("takes what other apps share into it", async () => {
    await app.visit({}, async (page) => {
      await page.evaluate(() => navigator.serviceWorker.ready);
      await page.reload();
      const base64 = readFileSync(sample("photo.png")).toString("base64");
      await page.evaluate(async (content) => {
        const form = document.createElement("form");
        Object.assign(form, { method: "POST", action: "./share", enctype: "multipart/form-data" });
        const input = Object.assign(document.createElement("input"), { type: "file", name: "pictures" });
        const data = new DataTransfer();
        data.items.add(
          new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], "shared.png", { type: "image/png" }),
        );
        input.files = data.files;
        form.append(input);
        document.body.append(form);
        form.submit();
      }, base64);
      await page.getByRole("heading", { name: "shared.png" }).waitFor();
      assert.match(await readText(page), /Region-based segmentation/);
    });
  });

  test("speaks Chinese and English, light and dark, and remembers", async () => {
    await app.visit({ context: { locale: "zh-CN" } }, async (page) => {
      await page.getByRole("heading", { name: "提取图片中的文字" }).waitFor();
      assert.equal(await page.locator("html").getAttribute("lang"), "zh-Hans");
      await pick(page, sample("photo.png"));
      await page.locator("summary", { hasText: /可信度 .+ · / }).click();
      await page
        .getByText(/：没有安装精准模型/)
        .first()
        .waitFor();
      assert.equal(await page.locator("dd[lang=en]").count(), 0);
      await go(page, "#/settings");
      await page.getByText("English", { exact: true }).click();
      await page.getByText("Dark", { exact: true }).click();
      await page.getByRole("heading", { name: "Settings" }).waitFor();
      await page.reload();
      await page.getByRole("heading", { name: "Settings" }).waitFor();
      assert.equal(await page.evaluate(() => getComputedStyle(document.body).colorScheme), "dark");
    });
  });

  test("needs at most 3.6 MB over the wire until its first text", async () => {
    const wire = [];
    const host = await serve({ compress: true, sent: (path, bytes) => wire.push({ path, bytes }) });
    // Its worker fetches, in the background, what an offline visit needs.
    const { context, page, faults } = await open(app.browser, host.url, { context: { serviceWorkers: "block" } });
    try {
      await pick(page, sample("receipt.jpg"));
      await readText(page);
      const names = wire.map(({ path }) => path);
      assert.ok(
        names.some((name) => name.includes("tiny-rec")),
        `the models are among ${names.join(" ")}`,
      );
      const bytes = wire.reduce((sum, { bytes: more }) => sum + more, 0);
      assert.ok(bytes <= 3_600_000, `${bytes} bytes: ${JSON.stringify(wire)}`);
      assert.deepEqual(faults, []);
    } finally {
      await context.close();
      await host.stop();
    }
  });

  test("starts with little script", async () => {
    await app.visit({}, async (page) => {
      await page.getByRole("heading", { name: "Text from any picture" }).waitFor();
      const { gzipSync } = await import("node:zlib");
      const scripts = await page.evaluate(() =>
        [...document.querySelectorAll("script[src], link[rel=modulepreload]")].map(
          (e) => new URL(e.src || e.href).pathname,
        ),
      );
      const size = scripts.reduce((sum, path) => sum + gzipSync(readFileSync(join(DIST, path))).length, 0);
      assert.ok(scripts.length > 0 && size < 60_000, `${size} bytes: ${scripts.join(" ")}`);
    });
  });
});
