// How long a press takes until it is seen while pictures are read, as the browser measures it (INP), on this machine and
// with its page slowed down four times: node tests/src/interaction.mjs

import { launch, open, pick } from "./browser.mjs";
import { sample, shotsOf } from "./samples.mjs";
import { serve } from "./serve.mjs";

const server = await serve();
const browser = await launch();
const shots = await shotsOf(browser, sample("receipt.jpg"), 8, 3000, 4000);

for (const slower of [1, 4]) {
  const { context, page, faults } = await open(browser, server.url, {
    context: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
    init: () => {
      globalThis.presses = new Map();
      new PerformanceObserver((list) => {
        for (const { interactionId: id, duration } of list.getEntries())
          if (id) globalThis.presses.set(id, Math.max(duration, globalThis.presses.get(id) ?? 0));
      }).observe({ type: "event", durationThreshold: 16, buffered: true });
    },
  });
  const devtools = await context.newCDPSession(page);
  await devtools.send("Emulation.setCPUThrottlingRate", { rate: slower });
  await page.locator("h1").waitFor();
  await pick(page, ...shots);
  const reading = page.getByRole("progressbar", { name: "Pictures" });
  await reading.waitFor();
  const link = (name) => page.getByRole("link", { name, exact: true });
  for (let turn = 0; turn < 4; turn++) {
    for (const name of ["History", "Settings", "Read"]) {
      await link(name).tap();
      await page.waitForTimeout(300);
    }
    await page.getByRole("link", { name: /^Back to the list/ }).tap();
    await page.waitForTimeout(300);
  }
  const presses = await page.evaluate(() => [...globalThis.presses.values()].sort((a, b) => b - a));
  console.log(
    `${slower} × slower: longest of 16 presses ${presses[0] ?? "under 16"} ms, median ${presses[8] ?? "under 16"} ms`,
  );
  if (faults.length > 0) console.error(faults);
  await context.close();
}
await browser.close();
await server.stop();
