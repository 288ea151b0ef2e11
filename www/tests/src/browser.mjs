// Chromium, watched: what leaves the origin, violates the policy or fails in the page fails the test.

import { chromium } from "playwright-core";

export const QUIET = [
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

const DESKTOP = { viewport: { width: 1280, height: 860 }, locale: "en-GB" };

export function launch(...more) {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", ...QUIET, ...more],
  });
}

/** A browser as people have it, with its storage on disk: contexts of `launch` keep theirs in memory. */
export function launchProfile(folder, ...more) {
  return chromium.launchPersistentContext(folder, {
    executablePath: CHROMIUM,
    args: ["--no-sandbox", ...QUIET, ...more],
    ...DESKTOP,
  });
}

/** A page of the app; `faults` is what must be empty in the end. `init` runs in the page before anything else. */
export async function open(browser, url, { context: options = {}, ...more } = {}) {
  return openIn(await browser.newContext({ ...DESKTOP, ...options }), url, more);
}

/** The same in a context that is there. */
export async function openIn(context, url, { start = "", init } = {}) {
  const faults = [];
  const { origin } = new URL(url);
  context.on("request", (request) => {
    const to = new URL(request.url());
    if (to.protocol !== "blob:" && to.origin !== origin) faults.push(`a request to ${to.href}`);
  });
  const page = await context.newPage();
  // A machine that does other things meanwhile takes its time.
  page.setDefaultTimeout(120_000);
  page.on("pageerror", (error) => faults.push(error.stack ?? error.message));
  page.on("console", (message) => {
    if (/content security policy|trusted type/i.test(message.text())) faults.push(message.text());
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
      console.error(`Content Security Policy: ${violatedDirective} ${blockedURI}`),
    );
  });
  if (init) await page.addInitScript(init);
  await page.goto(url + start);
  return { context, page, faults };
}

/** Picks files as a person would, in the dialog of the first screen. */
export async function pick(page, ...files) {
  await page.setInputFiles('input[type="file"]', files);
}

/** The text beside the picture, once it was read; as plain text, where it is shown with its headings and tables. */
export async function readText(page) {
  const text = page.getByRole("textbox", { name: "All text" });
  await page.locator(".flow textarea, .formatted").first().waitFor();
  if ((await text.count()) === 0) await page.getByRole("button", { name: "Formatted text" }).click();
  return text.inputValue();
}

/** Chooses an action in a menu. */
export async function choose(page, menu, action) {
  await page.getByRole("button", { name: menu, exact: true }).click();
  await page.getByRole("menuitem", { name: action, exact: true }).click();
}
