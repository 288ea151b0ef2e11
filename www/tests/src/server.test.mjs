// The app with the project's own server behind it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";

import { launch, open, pick, readText } from "./browser.mjs";
import { allModels, commandText, sample } from "./samples.mjs";

let browser;
let server;
let url;

async function freePort() {
  const probe = createServer();
  await new Promise((ready) => probe.listen(0, "127.0.0.1", ready));
  const { port } = probe.address();
  await new Promise((closed) => probe.close(closed));
  return port;
}

before(async () => {
  const listen = `127.0.0.1:${await freePort()}`;
  url = `http://${listen}/`;
  const data = mkdtempSync(join(tmpdir(), "maoocr-server-"));
  const web = resolve(import.meta.dirname, "../../app/dist");
  const options = ["serve", "--listen", listen, "--data", data, "--web", web, "--models", allModels, "--offline"];
  server = spawn(process.env.MAOOCR_BIN ?? "maoocr", [...options, "--device", "cpu"], { stdio: "ignore" });
  for (const until = Date.now() + 120_000; ;) {
    if (await fetch(`${url}ready`).then((answer) => answer.ok, () => false)) break; // prettier-ignore
    assert.ok(Date.now() < until && server.exitCode === null, "the server doesn't get ready");
    await new Promise((next) => setTimeout(next, 100));
  }
  browser = await launch();
});

after(async () => {
  await browser?.close();
  server.kill();
});

const go = (page, hash) => page.evaluate((to) => (location.hash = to), hash);

test("reads over a WebSocket what the person chose to send, and takes over nothing else", async () => {
  const { context, page, faults } = await open(browser, url);
  const sockets = [];
  page.on("websocket", (socket) => {
    const frames = { sent: [], events: [] };
    sockets.push(frames);
    socket.on("framesent", ({ payload }) => frames.sent.push(payload));
    socket.on("framereceived", ({ payload }) => frames.events.push(JSON.parse(payload).event));
  });
  await pick(page, sample("receipt.jpg"));
  assert.equal(await readText(page), commandText(sample("receipt.jpg")));
  assert.deepEqual(sockets, []);

  await go(page, "#/settings");
  await page.getByText("Advanced", { exact: true }).click();
  await page.getByText("On the server", { exact: true }).click();
  await page.getByText("Right now: on the server (your choice)").waitFor();
  await go(page, "#/");
  await page.getByText("Pictures may be sent").waitFor();
  await pick(page, sample("receipt.jpg"));
  assert.equal(await readText(page), commandText(sample("receipt.jpg"), allModels));
  const [{ sent, events }] = sockets;
  assert.equal(JSON.parse(sent[0]).requirements.document_type, "auto");
  assert.deepEqual([...new Set(events)], ["detected", "line", "done"]);

  await go(page, "#/");
  await page.getByText("Pictures may be sent").waitFor();
  await pick(page, sample("broken/bad-crc.png"));
  assert.match(await page.getByRole("alert").innerText(), /damaged/);
  assert.deepEqual(faults, []);
  await context.close();
});

test("automatic says where and why, and goes on when the server is gone", async () => {
  const { context, page, faults } = await open(browser, url);
  await pick(page, sample("photo.png"));
  await readText(page);
  await go(page, "#/settings");
  await page.getByText("Advanced", { exact: true }).click();
  await page.getByRole("group", { name: "Where to read" }).getByText("Automatic", { exact: true }).click();
  await page.getByText(/Right now: on (this device|the server) \(.+\)/).waitFor();
  await page.getByText("Accurate", { exact: true }).first().click();
  await page.getByText(/Right now: on the server \(.+\)/).waitFor();
  await page.getByText("Fast", { exact: true }).first().click();
  const exited = new Promise((done) => server.once("exit", done));
  server.kill();
  await exited;
  await go(page, "#/");
  await page.getByText("Pictures may be sent").waitFor();
  await pick(page, sample("receipt.jpg"));
  assert.equal(await readText(page), commandText(sample("receipt.jpg")));
  assert.deepEqual(faults, []);
  await context.close();
});
