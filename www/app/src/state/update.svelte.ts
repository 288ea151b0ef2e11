// A new version that has arrived: told once, and offered in the settings from then on.

import { t } from "./i18n.svelte.ts";
import { notify } from "./notices.svelte.ts";

let apply = $state.raw<(() => void) | null>(null);

export function updateReady(run: () => void): void {
  // The browser may tell of one version twice.
  if (apply === run) return;
  apply = run;
  notify(t().update.ready, { label: t().update.apply, run }, null);
}

/** What puts the new version in place; null where there is none. */
export function update(): (() => void) | null {
  return apply;
}
