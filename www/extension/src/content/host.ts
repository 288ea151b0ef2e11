// Where the extension draws in a page: one element with a closed shadow tree, above everything else.

import type { Settings } from "../settings.ts";
import { STYLES } from "./styles.ts";

export interface Host {
  element: HTMLElement;
  root: ShadowRoot;
  /** px of the window that aren't taken by the page's scroll bars. */
  room: () => { width: number; height: number };
  /** Follows the page's zoom. */
  fit: () => void;
  /** Takes it away; whoever waits for that is told once. */
  close: () => void;
  /** Aborted when it is closed. */
  closed: AbortSignal;
}

let current: Host | null = null;

export function closeHost(): void {
  current?.close();
}

/** Opens it anew: there is one at a time. */
export function openHost(theme: Settings["theme"]): Host {
  closeHost();
  const element = document.createElement("div");
  // Nothing of the page's style reaches in.
  element.style.cssText = "all: initial !important; position: fixed !important; inset: 0 !important; border: 0 !important; margin: 0 !important; padding: 0 !important; width: 100% !important; height: 100% !important; background: none !important; overflow: visible !important; pointer-events: none !important; z-index: 2147483647 !important;"; // prettier-ignore
  element.dir = "ltr";
  element.lang = chrome.i18n.getUILanguage();
  const root = element.attachShadow({ mode: "closed" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLES);
  root.adoptedStyleSheets = [sheet];
  const focused = document.activeElement;
  const ended = new AbortController();
  const host: Host = {
    element,
    root,
    closed: ended.signal,
    room: () => {
      const { width, height } = element.getBoundingClientRect();
      return { width, height };
    },
    fit: () => {
      // `zoom` of the page's root zooms this too: rectangles of elements and the pointer's place are the window's px.
      const { currentCSSZoom: zoom = 1 } = element.parentElement ?? {};
      element.style.setProperty("zoom", String(1 / zoom), "important");
    },
    close: () => {
      if (ended.signal.aborted) return;
      ended.abort();
      element.remove();
      if (current === host) current = null;
      if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
    },
  };
  if (theme !== "auto") element.style.setProperty("color-scheme", theme, "important");
  else element.style.setProperty("color-scheme", "light dark", "important");
  // Whatever is outside of a modal dialog doesn't react.
  const modal = [...document.querySelectorAll("dialog:modal")].at(-1);
  (modal ?? document.documentElement).append(element);
  host.fit();
  // The top layer lies above dialogs and what is shown on the full screen.
  if ("popover" in element) {
    element.popover = "manual";
    element.showPopover();
  }
  onKeys(host, { Escape: () => host.close() });
  current = host;
  return host;
}

/** Acts on keys that a person presses: the page could make up its own. Keys of a host that the page took away are its. */
export function onKeys(host: Host, keys: Record<string, (event: KeyboardEvent) => void>): void {
  window.addEventListener(
    "keydown",
    (event) => {
      if (!host.element.isConnected) return host.close();
      const act = keys[event.key];
      if (!act || !event.isTrusted) return;
      swallow(event);
      act(event);
    },
    { capture: true, signal: host.closed },
  );
}

/** The page doesn't hear of it. */
export function swallow(event: Event): void {
  event.preventDefault();
  event.stopImmediatePropagation();
}

/** An element with attributes, text and children. */
export function make<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Record<string, string> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

export function button(label: string, press: () => void, attributes: Record<string, string> = {}): HTMLButtonElement {
  const element = make("button", { type: "button", ...attributes }, label);
  element.addEventListener("click", press);
  return element;
}

/** Onto the clipboard. Pages without https have no `clipboard`; nothing is selected for it, for a page sees selections. */
export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    let copied = false;
    const give = (event: ClipboardEvent): void => {
      event.stopImmediatePropagation();
      event.preventDefault();
      event.clipboardData?.setData("text/plain", text);
      copied = event.clipboardData !== null;
    };
    window.addEventListener("copy", give, { capture: true });
    document.execCommand("copy");
    window.removeEventListener("copy", give, { capture: true });
    return copied;
  }
}

/** Once what was drawn before is on the screen. */
export function drawn(): Promise<void> {
  return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())));
}
