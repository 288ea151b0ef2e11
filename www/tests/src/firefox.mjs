// Firefox with the extension, over Marionette (its own end of WebDriver), which can also use the browser's menus as a
// person does.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { freePort } from "./ports.mjs";

const FIREFOX = process.env.FIREFOX ?? "/usr/bin/firefox-esr";
/** A machine that does other things meanwhile takes its time, ms. */
const PATIENCE = 120_000;
const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";

/** Messages are `length:json`: commands `[0, id, name, parameters]`, answers `[1, id, error, value]`. */
async function marionette(port) {
  let socket = null;
  for (const end = Date.now() + PATIENCE; socket === null;) {
    const trying = connect(port, "127.0.0.1");
    // `once` is rejected by an error: nobody listens yet.
    socket = await once(trying, "connect").then(() => trying, () => null); // prettier-ignore
    if (Date.now() > end) throw new Error("Firefox doesn't listen");
    if (!socket) await new Promise((next) => setTimeout(next, 200));
  }
  const waiting = new Map();
  let buffer = Buffer.alloc(0);
  socket.on("data", (data) => {
    buffer = Buffer.concat([buffer, data]);
    for (;;) {
      const colon = buffer.indexOf(":");
      if (colon < 0) return;
      const length = Number(buffer.subarray(0, colon).toString());
      if (buffer.length < colon + 1 + length) return;
      const message = JSON.parse(buffer.subarray(colon + 1, colon + 1 + length).toString());
      buffer = buffer.subarray(colon + 1 + length);
      if (!Array.isArray(message)) continue;
      const [, id, error, value] = message;
      const { resolve, reject } = waiting.get(id) ?? {};
      waiting.delete(id);
      if (error) reject?.(new Error(`${error.error}: ${error.message}`));
      else resolve?.(value);
    }
  });
  let last = 0;
  return {
    send: (name, parameters = {}) =>
      new Promise((resolve, reject) => {
        const id = ++last;
        waiting.set(id, { resolve, reject });
        const text = JSON.stringify([0, id, name, parameters]);
        socket.write(`${Buffer.byteLength(text)}:${text}`);
      }),
    close: () => socket.destroy(),
  };
}

/** `idle`: after so long without work the extension's background ends, ms. */
export async function launchFirefox(extension, { idle = 30_000 } = {}) {
  const profile = mkdtempSync(join(tmpdir(), "maoocr-firefox-"));
  const port = await freePort();
  const prefs = {
    "marionette.port": port,
    "extensions.background.idle.timeout": idle,
    "intl.locale.requested": "en-US",
    "browser.shell.checkDefaultBrowser": false,
    "datareporting.policy.dataSubmissionEnabled": false,
    "browser.aboutwelcome.enabled": false,
    // Nobody is there to press the button of the browser's dialog.
    "extensions.webextOptionalPermissionPrompts": false,
    "layout.css.devPixelsPerPx": "1.0",
    "gfx.color_management.mode": 0,
  };
  const lines = Object.entries(prefs).map(
    ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`,
  );
  writeFileSync(join(profile, "user.js"), lines.join("\n"));
  const browser = spawn(
    FIREFOX,
    ["--marionette", "--headless", "--remote-allow-system-access", "--no-remote", "--profile", profile, "--width", "1000", "--height", "900"], // prettier-ignore
    { stdio: "ignore" },
  );
  const { send, close } = await marionette(port);
  await send("WebDriver:NewSession", { capabilities: { alwaysMatch: {} } });
  await send("WebDriver:SetTimeouts", { script: PATIENCE, pageLoad: PATIENCE, implicit: 0 });

  /** Runs in the browser itself. */
  const chrome = async (script, ...args) => {
    await send("Marionette:SetContext", { value: "chrome" });
    try {
      return result(await send("WebDriver:ExecuteAsyncScript", { script: body(script), args, sandbox: "maoocr" }));
    } finally {
      await send("Marionette:SetContext", { value: "content" });
    }
  };
  /** Runs in the page, with the browser's rights: it sees closed shadow trees. */
  const page = async (script, ...args) =>
    result(await send("WebDriver:ExecuteAsyncScript", { script: body(script), args, sandbox: "system" }));

  // What the extension asks of the network.
  await chrome(() => {
    globalThis.asked = [];
    globalThis.observer = (subject) => {
      const channel = subject.QueryInterface(Ci.nsIHttpChannel);
      const { loadingPrincipal, triggeringPrincipal } = channel.loadInfo;
      if (loadingPrincipal?.addonId || triggeringPrincipal?.addonId) globalThis.asked.push(channel.URI.spec);
    };
    Services.obs.addObserver(globalThis.observer, "http-on-modify-request");
  });
  await send("Addon:Install", { path: extension, temporary: true });

  return {
    chrome,
    page,
    /** Since it was asked for the last time. */
    asked: () => chrome(() => globalThis.asked.splice(0)),
    goTo: (url) => send("WebDriver:Navigate", { url }),
    /** Goes to the tab with such an address, once there is one. */
    switchTo: async (part) => {
      for (const end = Date.now() + PATIENCE; ; await new Promise((next) => setTimeout(next, 100))) {
        const handles = await send("WebDriver:GetWindowHandles");
        for (const handle of handles.value ?? handles) {
          await send("WebDriver:SwitchToWindow", { handle });
          if ((await send("WebDriver:GetCurrentURL")).value.includes(part)) return;
        }
        if (Date.now() > end) throw new Error(`no tab at ${part}`);
      }
    },
    close: () => send("WebDriver:CloseWindow"),
    click: async (selector) => {
      const { value } = await send("WebDriver:FindElement", { using: "css selector", value: selector });
      await send("WebDriver:ElementClick", { id: value[ELEMENT] });
    },
    visit: async (url) => {
      await send("WebDriver:Navigate", { url });
      await page(async () => {
        while (!document.querySelector("html.ready")) await new Promise((next) => setTimeout(next, 50));
      });
    },
    /** Clicks on an element with the right button, and chooses an item of the menu by its label. */
    menu: async (selector, label) => {
      const { value } = await send("WebDriver:FindElement", { using: "css selector", value: selector });
      const origin = { [ELEMENT]: value[ELEMENT] };
      const actions = [
        { type: "pointerMove", duration: 0, origin, x: 0, y: 0 },
        { type: "pointerDown", button: 2 },
        { type: "pointerUp", button: 2 },
      ];
      await send("WebDriver:PerformActions", { actions: [{ type: "pointer", id: "mouse", parameters: { pointerType: "mouse" }, actions }] }); // prettier-ignore
      await chrome(async (wanted) => {
        const menu = document.getElementById("contentAreaContextMenu");
        while (menu.state !== "open") await new Promise((next) => setTimeout(next, 50));
        // Several items of an extension are in a menu of its own.
        const items = () => [...menu.querySelectorAll("menuitem")].filter((item) => item.label === wanted);
        const parent = [...menu.querySelectorAll("menu")].find((one) => one.id.includes("maoocr"));
        if (parent) {
          parent.openMenu(true);
          while (parent.menupopup.state !== "open") await new Promise((next) => setTimeout(next, 50));
        }
        const [item] = items();
        if (!item)
          throw new Error(`no item ${wanted}: ${[...menu.querySelectorAll("menuitem")].map((one) => one.label)}`);
        item.closest("menupopup").activateItem(item);
      }, label);
    },
    /** Presses at one place, moves, lets go at another; px of the page. */
    drag: async (from, to) => {
      const move = ([x, y]) => ({
        type: "pointerMove",
        duration: 50,
        origin: "viewport",
        x: Math.round(x),
        y: Math.round(y),
      });
      const actions = [move(from), { type: "pointerDown", button: 0 }, move(to), { type: "pointerUp", button: 0 }];
      await send("WebDriver:PerformActions", { actions: [{ type: "pointer", id: "mouse", parameters: { pointerType: "mouse" }, actions }] }); // prettier-ignore
    },
    screenshot: async () =>
      Buffer.from((await send("WebDriver:TakeScreenshot", { full: false, hash: false })).value, "base64"),
    end: async () => {
      const ended = once(browser, "exit");
      await Promise.race([send("Marionette:Quit", { flags: ["eForceQuit"] }), ended]).catch(() => undefined);
      close();
      await ended;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** A function as WebDriver's asynchronous scripts want it. */
function body(script) {
  return `const done = arguments[arguments.length - 1]; const given = [...arguments].slice(0, -1);
    Promise.resolve((${script})(...given)).then((value) => done({ value }), (error) => done({ error: String(error) + (error.stack ?? "") }));`;
}

function result({ value: { value, error } }) {
  if (error) throw new Error(error);
  return value;
}
