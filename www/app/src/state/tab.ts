// Which of the open tabs this one is, so that two don't read the same pictures.

import { newId } from "./pictures.ts";

const PREFIX = "maoocr-tab-";

export const tab = newId();

// Held as long as the page lives, however it ends.
void navigator.locks?.request(PREFIX + tab, () => new Promise(() => undefined)).catch(() => undefined);

/** Those that are open; without locks, as on plain http, this one alone is known. */
export async function openTabs(): Promise<Set<string>> {
  const state = await navigator.locks?.query().catch(() => null);
  const names = (state?.held ?? []).map(({ name }) => name ?? "").filter((name) => name.startsWith(PREFIX));
  return new Set([tab, ...names.map((name) => name.slice(PREFIX.length))]);
}
