// The extension with a server of the person's own, and where browsers let no extension into a page.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";

import { commandsText, DIST, launchExtension, lines, PATIENCE, sites } from "./extension.mjs";
import { freePort } from "./ports.mjs";
import { allModels } from "./samples.mjs";

const APP = resolve(import.meta.dirname, "../../app/dist");
const TEXT = commandsText("dark.png");
const scratch = mkdtempSync(join(tmpdir(), "maoocr-own-"));

let site = null;
before(async () => {
  site = await sites();
});
after(() => {
  site.stop();
  rmSync(scratch, { recursive: true, force: true });
});

/** The command as a server. */
async function serve() {
  const listen = `127.0.0.1:${await freePort()}`;
  const options = ["--listen", listen, "--data", join(scratch, "data"), "--models", allModels, "--web", APP];
  const server = spawn(process.env.MAOOCR_BIN ?? "maoocr", ["serve", "--offline", "--device", "cpu", ...options], { stdio: "ignore" }); // prettier-ignore
  const url = `http://${listen}/`;
  for (const until = Date.now() + PATIENCE; ;) {
    if (await fetch(`${url}ready`).then((answer) => answer.ok, () => false)) break; // prettier-ignore
    assert.ok(Date.now() < until && server.exitCode === null, "the server doesn't get ready");
    await new Promise((next) => setTimeout(next, 100));
  }
  return { url, stop: () => server.kill() };
}

test("pictures go to the person's server where it was chosen, and only then", async () => {
  const server = await serve();
  // What the person grants in a dialog of the browser's, which no test can press.
  const unpacked = join(scratch, "granted");
  cpSync(join(DIST, "chrome"), unpacked, { recursive: true });
  const manifest = JSON.parse(readFileSync(join(unpacked, "manifest.json"), "utf8"));
  writeFileSync(
    join(unpacked, "manifest.json"),
    JSON.stringify({ ...manifest, host_permissions: ["http://127.0.0.1/*"] }),
  );
  const extension = await launchExtension(site, { unpacked });
  try {
    const { visit, menu, told, background } = extension;
    const choose = async (settings) =>
      (await background()).evaluate((chosen) => chrome.storage.local.set(chosen), settings);
    const last = async () => {
      const options = await extension.context.newPage();
      await options.goto(`chrome-extension://${extension.id}/popup.html`);
      const read = await options.evaluate(
        () =>
          new Promise((done) => {
            const opening = indexedDB.open("maoocr");
            opening.onsuccess = () => {
              const all = opening.result.transaction("entries").objectStore("entries").index("at").getAll();
              all.onsuccess = () => done(all.result.at(-1).document);
            };
          }),
      );
      await options.close();
      await extension.page.bringToFront();
      return read;
    };
    // The address is completed, or refused with a reason.
    const options = await extension.context.newPage();
    await options.goto(`chrome-extension://${extension.id}/options.html`);
    const address = options.getByLabel("Address");
    const save = async (typed, says) => {
      await address.fill(typed);
      await options.getByRole("button", { name: "Save" }).click();
      await options.getByText(says).waitFor();
    };
    await save("ftp://127.0.0.1", "The address must begin with https:// or http://.");
    await save("127.0.0.1/?page=1", "Leave out everything from the ? or # on");
    await save("me:secret@127.0.0.1", "Leave the user name and password out");
    await save("no server", "This isn't an address.");
    await save(`${new URL(server.url).host}/some/page`, "Saved. The server is responding.");
    assert.equal(await address.inputValue(), server.url);
    await extension.page.bringToFront();
    await visit("image");
    await menu("image", { srcUrl: `${site.url}dark.png` });
    assert.equal(await told(), lines(TEXT));
    assert.match((await last()).device, /simd128/);

    await choose({ place: "server" });
    await visit("image");
    await menu("image", { srcUrl: `${site.url}dark.png` });
    // Its models are larger: they read what the extension's take for two signs.
    assert.match(await told(), /^\$ cargo build --release\nCompiling serde/);
    assert.doesNotMatch((await last()).device, /simd128/);

    // Its models can be had for this device.
    await choose({ place: "device" });
    await options.bringToFront();
    const box = options.getByLabel("Download larger models from this server");
    await box.check();
    await options.getByText("The models are on this device").waitFor();
    assert.ok(await box.isChecked());
    assert.ok((await options.getByRole("option").allTextContents()).includes("Japanese"));

    server.stop();
    await extension.page.bringToFront();
    await visit("image");
    await menu("image", { srcUrl: `${site.url}dark.png` });
    assert.match(await told(), /^\$ cargo build --release\nCompiling serde/);
    const { device, selected_models: models } = await last();
    assert.match(device, /simd128/);
    assert.ok(models.includes("ppocrv6-small-rec"), models.join());
    await options.bringToFront();
    await box.uncheck();
    await options.getByText("The models were removed from this device").waitFor();
    assert.ok(await box.isEnabled());
    assert.equal(await options.evaluate(async () => (await (await caches.open("maoocr-models")).keys()).filter(({ url }) => url).length), 3); // prettier-ignore

    await choose({ place: "server" });
    await extension.page.bringToFront();
    await visit("image");
    await menu("image", { srcUrl: `${site.url}dark.png` });
    await assert.rejects(told(), /Your server isn't responding\. Check that it is running/);
    await options.bringToFront();
    await options.getByRole("button", { name: "Remove the server" }).click();
    await options.getByText("The server was removed.").waitFor();
    assert.deepEqual(await options.evaluate(() => chrome.storage.local.get(["server", "key", "place"])), { server: "", key: "", place: "device" }); // prettier-ignore
    await options.close();
    extension.faults.splice(0, Infinity, ...extension.faults.filter((fault) => !fault.includes(server.url)));
    assert.deepEqual(extension.faults, []);
  } finally {
    await extension.end();
    server.stop();
  }
});

test("from the popup all that is visible is read even in a page of the browser's own", async () => {
  const extension = await launchExtension(site);
  try {
    const { page } = extension;
    await page.goto("chrome://version");
    const popup = await extension.popup();
    const text = await popup(async () => {
      const wanted = ({ textContent }) => textContent === "Text from all that is visible";
      for (;;) {
        const button = [...document.querySelectorAll("button")].find(wanted);
        if (button) {
          button.click();
          break;
        }
        await new Promise((next) => setTimeout(next, 100));
      }
      for (;;) {
        const read = document.querySelector(".result pre");
        if (read) return read.textContent;
        if (document.querySelector(".wrong")) return document.querySelector(".says").textContent;
        await new Promise((next) => setTimeout(next, 100));
      }
    });
    assert.match(text, /Chromium[^]*User Agent/);
    assert.deepEqual(extension.faults, []);
  } finally {
    await extension.end();
  }
});
