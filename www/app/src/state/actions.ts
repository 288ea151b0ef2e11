// What browsers offer for taking things along: clipboard, sharing, downloads.

import { t } from "./i18n.svelte.ts";
import { notify } from "./notices.svelte.ts";

export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    notify(t().read.copied);
  } catch {
    notify(t().read.copyFailed);
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

/** A picture's address while something shows it. */
export function shown(blob: Blob): { url: string; free: () => void } {
  const url = URL.createObjectURL(blob);
  return { url, free: () => URL.revokeObjectURL(url) };
}

/** The pictures and PDFs among what was dropped or pasted. */
export function filesOf(data: DataTransfer | null): File[] {
  return [...(data?.files ?? [])];
}
