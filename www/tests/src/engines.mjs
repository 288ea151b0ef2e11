// The three engines that people's browsers have, behind what the tests need of each: a page that runs functions and is
// given files. Chromium by Playwright, Firefox by WebDriver BiDi, WebKit (GTK) by WebDriver.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";

import puppeteer from "puppeteer-core";

import { launch } from "./browser.mjs";
import { freePort } from "./ports.mjs";

const FIREFOX = process.env.FIREFOX ?? "/usr/bin/firefox-esr";
const WEBKIT = process.env.WEBKIT ?? "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser";
const WEBKIT_DRIVER = process.env.WEBKIT_DRIVER ?? "/usr/bin/WebKitWebDriver";
/** A machine that does other things meanwhile takes its time, ms. */
const PATIENCE = 180_000;

async function chromium() {
  const browser = await launch();
  const page = await (await browser.newContext()).newPage();
  return {
    open: (url) => page.goto(url),
    reload: () => page.reload(),
    run: (work, ...given) => page.evaluate(`(${work})(...${JSON.stringify(given)})`),
    files: (paths) => page.setInputFiles('input[type="file"]', paths),
    end: () => browser.close(),
  };
}

async function firefox(isPrivate) {
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: FIREFOX,
    headless: true,
    timeout: PATIENCE,
    protocolTimeout: PATIENCE,
    extraPrefsFirefox: { "browser.privatebrowsing.autostart": isPrivate },
  });
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  return {
    open: (url) => page.goto(url),
    reload: () => page.reload(),
    run: (work, ...given) => page.evaluate(`(${work})(...${JSON.stringify(given)})`),
    files: async (paths) => (await page.waitForSelector('input[type="file"]')).uploadFile(...paths),
    end: () => browser.close(),
  };
}

/** A screen that nobody sees, and the number it goes by. */
async function screen() {
  const server = spawn("Xvfb", ["-displayfd", "3", "-screen", "0", "1280x900x24"], {
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  const [number] = await once(server.stdio[3], "data");
  return { server, display: `:${String(number).trim()}` };
}

async function webkit(isPrivate) {
  const { server, display } = await screen();
  const port = await freePort();
  const driver = spawn(WEBKIT_DRIVER, [`--port=${port}`], {
    stdio: "ignore",
    env: { ...process.env, DISPLAY: display },
  });
  const ask = async (method, path, body) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      ...(body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    const { value } = await response.json();
    if (!response.ok) throw new Error(`${path}: ${value?.error}: ${value?.message}`);
    return value;
  };
  for (const end = Date.now() + PATIENCE; ;) {
    if (await ask("GET", "/status").then(() => true, () => false)) break; // prettier-ignore
    if (Date.now() > end) throw new Error("WebKitWebDriver doesn't start");
    await new Promise((next) => setTimeout(next, 100));
  }
  const options = { binary: WEBKIT, args: ["--automation", ...(isPrivate ? ["--private"] : [])] };
  const { sessionId } = await ask("POST", "/session", {
    capabilities: { alwaysMatch: { "webkitgtk:browserOptions": options } },
  });
  const session = `/session/${sessionId}`;
  await ask("POST", `${session}/timeouts`, { script: PATIENCE, pageLoad: PATIENCE });
  return {
    open: (url) => ask("POST", `${session}/url`, { url }),
    reload: () => ask("POST", `${session}/refresh`, {}),
    run: async (work, ...given) => {
      const script = `const done = arguments[arguments.length - 1];
        Promise.resolve((${work})(...${JSON.stringify(given)})).then((value) => done({ value }), (error) => done({ error: String(error) }));`;
      const { value, error } = await ask("POST", `${session}/execute/async`, { script, args: [] });
      if (error) throw new Error(error);
      return value;
    },
    files: async (paths) => {
      const found = await ask("POST", `${session}/element`, { using: "css selector", value: 'input[type="file"]' });
      const [element] = Object.values(found);
      await ask("POST", `${session}/element/${element}/value`, { text: paths.join("\n") });
    },
    end: async () => {
      await ask("DELETE", session).catch(() => undefined);
      driver.kill();
      server.kill();
    },
  };
}

/** Those that this machine has; all of them where the tests must have them. */
export const ENGINES = [
  { name: "Chromium", start: chromium, there: true },
  { name: "Firefox", start: firefox, there: existsSync(FIREFOX) },
  { name: "WebKit", start: webkit, there: existsSync(WEBKIT) && existsSync(WEBKIT_DRIVER) },
];
