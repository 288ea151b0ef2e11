// A server that answers in a test's own words.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { appTests, go } from "./app.mjs";
import { open, pick, readText } from "./browser.mjs";
import { sample } from "./samples.mjs";

const app = appTests();

describe("a server", () => {
  test("reads what the person chose to send, and nothing else", async () => {
    const posts = [];
    app.answer = (request, response) => {
      if (request.url === "/health") response.writeHead(200, { "content-type": "application/json" }).end("{}");
      else if (request.url === "/api/ocr/recognize-with-requirements") {
        const parts = [];
        request.on("data", (part) => parts.push(part));
        request.on("end", () => {
          posts.push(Buffer.concat(parts).toString("latin1"));
          const line = { text: "from afar", confidence: 0.99, box: [[0, 0], [9, 0], [9, 9], [0, 9]], words: [], vertical: false }; // prettier-ignore
          const plan = { reasons: ["a test"] };
          const document = { text: "from afar", confidence: 0.99, processing_time: 1, selected_models: ["medium"], width: 384, height: 191, language: "auto", device: "server", lines: [line], blocks: [{ kind: "paragraph", lines: [0], box: line.box }], plan }; // prettier-ignore
          response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(document));
        });
      } else return false;
      return true;
    };
    const { context, page, faults } = await open(app.browser, app.server.url);
    await pick(page, sample("photo.png"));
    assert.match(await readText(page), /Region-based segmentation/);
    assert.equal(posts.length, 0);
    await go(page, "#/settings");
    await page.getByText("Advanced", { exact: true }).click();
    await page.getByText("On the server", { exact: true }).click();
    await page.getByText("Right now: on the server (your choice)").waitFor();
    await page.getByText("Accurate", { exact: true }).first().click();
    await go(page, "#/");
    await page.getByText("Pictures may be sent").waitFor();
    await pick(page, sample("photo.png"));
    assert.equal(await readText(page), "from afar");
    assert.equal(posts.length, 1);
    assert.match(posts[0], /name="image"; filename="picture"\r\nContent-Type: image\/png/);
    assert.match(posts[0], /"accuracy_requirement":"high"/);
    await page.getByText(/certain · /).click();
    await page.getByText("on the server (your choice)").waitFor();
    assert.deepEqual(faults, []);
    await context.close();
  });
});

test("a server that wants a key has it asked for; automatic reads without it", async () => {
  app.answer = (request, response) => {
    if (request.url === "/health") response.writeHead(200, { "content-type": "application/json" }).end("{}");
    else if (request.method === "POST") {
      const problem = { code: "key_missing", detail: "a key, please" };
      request.resume().on("end", () => response.writeHead(401).end(JSON.stringify(problem)));
    } else return false;
    return true;
  };
  const init = () => Object.defineProperty(navigator, "hardwareConcurrency", { value: 2 });
  await app.visit({ init }, async (page) => {
    await go(page, "#/settings");
    await page.getByText("Advanced", { exact: true }).click();
    await page.getByText("On the server", { exact: true }).click();
    await go(page, "#/");
    await page.getByText("Pictures may be sent").waitFor();
    await pick(page, sample("photo.png"));
    assert.match(await page.getByRole("alert").innerText(), /needs a key. Enter it in Settings/);
    await go(page, "#/settings");
    await page.getByText("Advanced", { exact: true }).click();
    await page.getByRole("group", { name: "Where to read" }).getByText("Automatic", { exact: true }).click();
    await page.getByText("Right now: on the server").waitFor();
    await go(page, "#/");
    await page.getByText("Pictures may be sent").waitFor();
    await pick(page, sample("photo.png"));
    assert.match(await readText(page), /Region-based segmentation/);
    await page.getByText(/certain · /).click();
    await page.getByText("the server needs a different key").waitFor();
  });
});
