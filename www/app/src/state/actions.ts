// What browsers offer for taking things along: clipboard, sharing, downloads.

import { tableHtml, tableTsv, type Table } from "@maoocr/lib";

import { t } from "./i18n.svelte.ts";
import { notify } from "./notices.svelte.ts";

export async function copy(text: string): Promise<void> {
  const copied = await write(text);
  notify(copied ? t().read.copied : isSecureContext ? t().read.copyFailed : t().read.copyInsecure);
}

/** With its look, for what takes HTML, and as plain text for the rest. */
export async function copyRich(html: string, text: string): Promise<void> {
  try {
    const item = new ClipboardItem({
      "text/html": new Blob([html], { type: "text/html" }),
      "text/plain": new Blob([text], { type: "text/plain" }),
    });
    await navigator.clipboard.write([item]);
    notify(t().read.copied);
  } catch {
    // A browser that takes text only.
    await copy(text);
  }
}

/** As cells: spreadsheets take either form, documents the HTML. */
export function copyTable(table: Table): Promise<void> {
  return copyRich(tableHtml(table), tableTsv(table));
}

async function write(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return writtenBySelection(text);
  }
}

/** The way from before there were promises, which plain http still has. */
function writtenBySelection(text: string): boolean {
  const focused = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  field.setAttribute("aria-hidden", "true");
  field.style.cssText = "position: fixed; inset: 0 auto auto 0; opacity: 0";
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  try {
    return document.execCommand("copy");
  } catch {
    return false;
  } finally {
    field.remove();
    if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  }
}

export const canShare = "share" in navigator;

export async function share(title: string, text: string): Promise<void> {
  try {
    await navigator.share({ title, text });
  } catch (thrown) {
    if (!(thrown instanceof DOMException && thrown.name === "AbortError")) notify(t().read.shareFailed);
  }
}

export function download(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  // Some browsers read the address after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
