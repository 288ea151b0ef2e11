// The extension in Chromium reads one picture after another: after the first ones its memory stays where it is.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch } from "./browser.mjs";
import { launchExtension, sites } from "./extension.mjs";
import { ownMemory } from "./processes.mjs";
import { sample, shotsOf } from "./samples.mjs";

const PICTURES = 50;
/** Until here engines, caches and the browser's own pools fill. */
const SETTLED = 15;
/** px */
const [WIDTH, HEIGHT] = [1280, 960];
/** Garbage of the engine's workers comes and goes, bytes. The pixels of 35 pictures are 172 MB. */
const NOISE = 80e6;

const skip = process.platform === "linux" ? false : "processes are looked at in /proc";

let site = null;
let extension = null;
before(async () => {
  if (skip) return;
  const helper = await launch();
  const shots = await shotsOf(helper, sample("dark.png"), PICTURES, WIDTH, HEIGHT);
  await helper.close();
  site = await sites(Object.fromEntries(shots.map((path, n) => [`shot-${n}.jpg`, path])));
  extension = await launchExtension(site);
});
after(async () => {
  await extension?.end();
  site?.stop();
});

/** Memory of all of the browser's processes once garbage is collected, bytes. */
async function level() {
  const { browser, devtools, page, profile } = extension;
  await devtools.send("HeapProfiler.collectGarbage");
  const { targetInfos } = await browser.send("Target.getTargets", { filter: [{}] });
  for (const { targetId } of targetInfos.filter(({ url: of }) => of.endsWith("/offscreen.html"))) {
    const { sessionId } = await browser.send("Target.attachToTarget", { targetId, flatten: false });
    const message = JSON.stringify({ id: 1, method: "HeapProfiler.collectGarbage" });
    await browser.send("Target.sendMessageToTarget", { sessionId, message });
  }
  const measured = [];
  for (let n = 0; n < 3; n++) {
    await page.waitForTimeout(1000);
    measured.push(ownMemory(profile));
  }
  return Math.min(...measured);
}

test(`${PICTURES} pictures in a row`, { skip }, async (t) => {
  const { page, visit, menu, told, shadow, faults } = extension;
  await visit("image");
  // What comes into view Chromium decodes and keeps by itself, up to 512 MB: that is no doing of the extension's.
  await page.locator("#it").evaluate((image) => (image.style.marginTop = "30000px"));
  let settled = 0;
  for (let n = 0; n < PICTURES; n++) {
    await page.locator("#it").evaluate(
      (image, src) =>
        new Promise((loaded, failed) => {
          Object.assign(image, { src, onload: () => loaded(), onerror: () => failed(new Error(src)) });
        }),
      `/shot-${n}.jpg`,
    );
    await menu("image", { srcUrl: `${site.url}shot-${n}.jpg` });
    assert.match(await told(), /cargo build/);
    await page.keyboard.press("Escape");
    assert.equal(await shadow(() => 1), null);
    if (n + 1 === SETTLED) settled = await level();
  }
  const end = await level();
  const mb = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;
  const said = `after ${SETTLED} pictures ${mb(settled)}, after ${PICTURES} ${mb(end)}`;
  t.diagnostic(said);
  assert.ok(end < settled + NOISE, said);
  assert.deepEqual(faults, []);
});
