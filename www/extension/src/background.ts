// Routes: menus and shortcuts → the page's script, the page's script → the engine. Keeps nothing: Chrome ends it whenever
// it likes. In Firefox, which has no offscreen documents, the engine lives here too.

import { hostEngine } from "./engine.ts";
import { openReader } from "./pdf.ts";
import { hostOf, loadSettings, siteOff, type Settings } from "./settings.ts";
import type { Action, Command, ToBackground } from "./messages.ts";

const text = chrome.i18n.getMessage;

/** Firefox tells which element was clicked. */
type Clicked = chrome.contextMenus.OnClickData & { targetElementId?: number };

const OFFSCREEN = "offscreen.html";
/** Chrome's; Firefox has none. */
const offscreen = (chrome as Partial<typeof chrome>).offscreen ?? null;

if (!offscreen) hostEngine(async (message) => handled(message, true));

chrome.runtime.onInstalled.addListener(() => {
  chrome.contextMenus.removeAll(() => {
    chrome.contextMenus.create({ id: "image", title: text("menuImage"), contexts: ["image", "video"] });
    chrome.contextMenus.create({
      id: "pick",
      title: text("menuPick"),
      contexts: ["page", "frame", "link", "selection"],
    });
    chrome.contextMenus.create({ id: "visible", title: text("menuVisible"), contexts: ["page", "frame"] });
    chrome.contextMenus.create({ id: "page", title: text("menuPage"), contexts: ["page", "frame"] });
    chrome.contextMenus.create({
      id: "pdf",
      title: text("menuPdf"),
      contexts: ["page", "frame"],
      documentUrlPatterns: ["pdf", "PDF"].flatMap((end) => [`*://*/*.${end}`, `*://*/*.${end}?*`]),
    });
  });
});

chrome.contextMenus.onClicked.addListener((clicked: Clicked, tab) => {
  if (tab?.id === undefined) return;
  if (clicked.menuItemId === "pdf") return void readPdf(tab);
  const frame = clicked.frameId ?? 0;
  if (clicked.menuItemId === "image" && clicked.srcUrl) {
    const element = clicked.targetElementId ?? null;
    void start(tab.id, { action: "image", address: clicked.srcUrl, element }, frame);
  } else void start(tab.id, { action: clicked.menuItemId as Action });
});

chrome.commands.onCommand.addListener((command, tab) => {
  if (tab?.id === undefined) return;
  if (command === "pdf") void readPdf(tab);
  else if (command === "pick" || command === "visible" || command === "page") void start(tab.id, { action: command });
});

chrome.runtime.onMessage.addListener((message: ToBackground, sender, answer) => {
  if (sender.id !== chrome.runtime.id) return false;
  const work = handled(message, sender.url?.startsWith(chrome.runtime.getURL("")) ?? false);
  work?.then(
    (value) => answer({ value }),
    (thrown: unknown) => answer({ error: String(thrown) }),
  );
  return work !== null;
});

/** `own`: from a page of the extension. Scripts in other pages may do no more than wake the engine. */
function handled(message: ToBackground, own: boolean): Promise<unknown> | null {
  if (message.kind === "wake") return wake();
  if (!own) return null;
  switch (message.kind) {
    case "settings":
      return loadSettings();
    case "capture":
      return capture(message.tab, message.window);
    case "start":
      return start(message.tab, { action: message.action });
    default:
      return null;
  }
}

/** Puts the script into the page, and tells it what to do. Says whether it could: browsers keep scripts out of their own
 * pages, of their stores and of their PDF viewers. */
async function start(tab: number, command: Wish, frame = 0): Promise<boolean> {
  const settings = await loadSettings();
  if (await keptOff(tab, settings)) return false;
  const order = { ...command, settings } as Command;
  try {
    await run(tab, frame, order);
    return true;
  } catch (thrown) {
    console.warn("MaoOCR isn't let into the page:", thrown); // eslint-disable-line no-console -- for whoever looks into it
    // A frame of another site: what the tab shows of it can be read all the same.
    if (frame !== 0) return start(tab, { action: "pick" });
    await chrome.action.setBadgeText({ tabId: tab, text: "!" }).catch(() => undefined);
    await chrome.action.setTitle({ tabId: tab, title: text("closedPage") }).catch(() => undefined);
    return false;
  }
}

async function readPdf(tab: chrome.tabs.Tab): Promise<void> {
  if (tab.id !== undefined && !(await keptOff(tab.id, await loadSettings()))) await openReader(tab, true);
}

/** Whether the person wants nothing read on the tab's site. */
async function keptOff(tab: number, settings: Settings): Promise<boolean> {
  const { url = "" } = await chrome.tabs.get(tab);
  const site = siteOff(settings, hostOf(url) ?? "");
  if (site === null) return false;
  await chrome.action.setBadgeText({ tabId: tab, text: "–" }).catch(() => undefined);
  await chrome.action.setTitle({ tabId: tab, title: text("siteOff", [site]) }).catch(() => undefined);
  return true;
}

type Wish = { action: Action } | { action: "image"; address: string; element: number | null };

async function run(tab: number, frame: number, order: Command): Promise<void> {
  const target = { tabId: tab, frameIds: [frame] };
  const [injected] = await chrome.scripting.executeScript({ target, files: ["content.js"] });
  if (!injected) throw new Error("not injected");
  await chrome.scripting.executeScript({
    target,
    args: [order],
    func: (given: Command) =>
      (globalThis as unknown as { maoocr: { run: (order: Command) => void } }).maoocr.run(given),
  });
}

/** Sees to it that the engine's document is there. */
let waking: Promise<void> | null = null;
async function wake(): Promise<boolean> {
  if (!offscreen) return true;
  waking ??= open(offscreen).finally(() => (waking = null));
  await waking;
  return true;
}

async function open({ createDocument }: typeof chrome.offscreen): Promise<void> {
  const contextTypes = ["OFFSCREEN_DOCUMENT" as chrome.runtime.ContextType];
  if ((await chrome.runtime.getContexts({ contextTypes })).length > 0) return;
  const reasons = ["WORKERS" as chrome.offscreen.Reason];
  await createDocument({
    url: OFFSCREEN,
    reasons,
    justification: "Reads text in WebAssembly workers",
  });
}

/** Chrome captures twice a second at most: so often, and after so long (ms), it is asked again. */
const [CAPTURES, PAUSE] = [20, 250];

/** What a tab shows, as long as it is the one that is seen. */
async function capture(tab: number, window: number): Promise<string> {
  for (let tried = 1; ; tried++) {
    const { active } = await chrome.tabs.get(tab);
    if (!active) throw new Error("the tab isn't in front any more");
    try {
      return await chrome.tabs.captureVisibleTab(window, { format: "png" });
    } catch (thrown) {
      if (!/CAPTURE_VISIBLE_TAB_CALLS/.test(String(thrown)) || tried === CAPTURES) throw thrown;
      await new Promise((next) => setTimeout(next, PAUSE));
    }
  }
}
