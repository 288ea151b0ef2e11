// The PDF that a tab shows: whether it does, the way to the reader, and its bytes.

import { OcrError } from "@maoocr/lib";

import { hostOf, originOf } from "./settings.ts";

/** Larger ones are refused, bytes: a browser's tab holds a file twice while it is opened. */
export const LARGEST_PDF = 512e6;
/** What is carried out of a tab at once: results of scripts are JSON. bytes, a multiple of 3 */
const SLICE = 6e6;

/** Whether a tab shows a PDF: a script can tell; where none gets in, the address does. */
export async function showsPdf({ id, url }: chrome.tabs.Tab): Promise<boolean> {
  if (id === undefined || !url) return false;
  try {
    const target = { tabId: id };
    const [seen] = await chrome.scripting.executeScript({ target, func: () => document.contentType });
    return seen?.result === "application/pdf" || looksLikePdf(url);
  } catch {
    // Firefox lets no script into its viewer, which shows PDFs whatever their address.
    return looksLikePdf(url) || (!("offscreen" in chrome) && hostOf(url) !== null);
  }
}

function looksLikePdf(address: string): boolean {
  return URL.canParse(address) && new URL(address).pathname.toLowerCase().endsWith(".pdf");
}

/** Opens the reader beside a tab, with its PDF, or with none. */
export async function openReader(tab: chrome.tabs.Tab, withPdf: boolean): Promise<void> {
  const reader = new URL(chrome.runtime.getURL("reader.html"));
  if (withPdf && tab.url) {
    reader.searchParams.set("address", tab.url);
    reader.searchParams.set("tab", String(tab.id));
  }
  await chrome.tabs.create({ url: reader.href, index: tab.index + 1, windowId: tab.windowId });
}

/** What of the address says what the file is called. */
export function nameOf(address: string): string {
  const last = URL.canParse(address) ? new URL(address).pathname.split("/").pop() : "";
  try {
    return decodeURIComponent(last ?? "") || "PDF";
  } catch {
    return last || "PDF";
  }
}

/** By its first bytes, as the browsers' own viewers know it. */
export async function isPdf(file: Blob): Promise<boolean> {
  return (await file.slice(0, 1024).text()).includes("%PDF-");
}

/** The file at an address, by way of the tab that shows it, or from its site where the person allowed that.
 * @throws OcrError `not_allowed`: neither may be done. */
export async function fetchPdf(address: string, tab: number | null): Promise<Blob> {
  const shown = tab === null ? null : await fromTab(address, tab);
  if (shown) return shown;
  const origin = originOf(address);
  if (!origin || !(await chrome.permissions.contains({ origins: [origin] }))) {
    throw new OcrError("not_allowed", "the extension isn't let to the site");
  }
  let response: Response;
  try {
    response = await fetch(address, { credentials: "include", cache: "force-cache" });
  } catch (thrown) {
    throw new OcrError("unreachable", String(thrown));
  }
  if (!response.ok) throw new OcrError("unreachable", `HTTP ${response.status}`);
  return response.blob();
}

/** A script in the tab may have what the tab shows. Null where the browser lets none in. */
async function fromTab(address: string, tabId: number): Promise<Blob | null> {
  const run = async <A extends unknown[], R>(func: (...args: A) => R, ...args: A): Promise<Awaited<R> | undefined> => {
    const [ran] = await chrome.scripting.executeScript({ target: { tabId }, func, args });
    return ran?.result;
  };
  try {
    const bytes = await run(hold, address);
    if (!bytes || bytes > LARGEST_PDF) return null;
    const slices: Uint8Array<ArrayBuffer>[] = [];
    for (let at = 0; at < bytes; at += SLICE) {
      const base64 = (await run(slice, at, SLICE)) ?? "";
      slices.push(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)));
    }
    const file = new Blob(slices, { type: "application/pdf" });
    return file.size === bytes ? file : null;
  } catch {
    return null;
  } finally {
    run(letGo).catch(() => undefined);
  }
}

/** What a script keeps in the tab between two calls. */
type Held = typeof globalThis & { maoocrFile?: Blob };

// These run in the tab: they know nothing of what is around them here.

async function hold(address: string): Promise<number> {
  if (location.href.split("#")[0] !== address.split("#")[0]) return 0;
  const response = await fetch(location.href, { credentials: "include", cache: "force-cache" });
  if (!response.ok) return 0;
  const file = await response.blob();
  (globalThis as Held).maoocrFile = file;
  return file.size;
}

async function slice(at: number, length: number): Promise<string> {
  const part = (globalThis as Held).maoocrFile?.slice(at, at + length) ?? new Blob();
  const bytes = new Uint8Array(await part.arrayBuffer());
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}

function letGo(): void {
  delete (globalThis as Held).maoocrFile;
}
