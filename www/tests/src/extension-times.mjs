// From the click to the text, on a screenshot of one megapixel: node tests/src/extension-times.mjs [ROUNDS]
// Cold is the first text after the browser's start, with nothing loaded; warm is what follows. Linux tells what all of the
// browser's processes computed meanwhile, which other programs on the machine don't change.

import { cpus } from "node:os";

import { launchExtension, sites } from "./extension.mjs";
import { cpuTime } from "./processes.mjs";

const rounds = Number(process.argv[2] ?? 3);
/** px */
const viewport = { width: 1280, height: 800 };
const WARM = 5;
/** Chrome captures a tab twice a second at most. ms */
const APART = 1000;
/** Looks into the page take time, too. ms */
const LOOK = 20;

/** From the choice in the menu to the text in the panel: s that passed, and s of computing. */
async function once({ menu, shadow, page, profile }) {
  const [began, used] = [performance.now(), cpuTime(profile)];
  await menu("visible");
  for (;;) {
    const text = await shadow((root) => root.querySelector("textarea")?.value ?? "");
    if (text) {
      const took = { passed: (performance.now() - began) / 1000, computed: cpuTime(profile) - used, text };
      await page.keyboard.press("Escape");
      await page.waitForTimeout(APART);
      return took;
    }
    await page.waitForTimeout(LOOK);
  }
}

const site = await sites();
const times = { cold: [], warm: [] };
for (let round = 0; round < rounds; round++) {
  const extension = await launchExtension(site, { viewport });
  await extension.visit("prose");
  await extension.page.waitForTimeout(APART);
  times.cold.push(await once(extension));
  for (let n = 0; n < WARM; n++) times.warm.push(await once(extension));
  await extension.end();
}
site.stop();

const [{ text }] = times.warm;
console.log(`${cpus().length} × ${cpus()[0].model}; ${text.split("\n").length} lines, ${text.length} characters`);
for (const [name, all] of Object.entries(times)) {
  const best = (kind) => Math.min(...all.map((one) => one[kind])).toFixed(2);
  console.log(`${name}: best of ${all.length}: ${best("passed")} s, ${best("computed")} s of computing`);
}
