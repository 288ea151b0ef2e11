import type { OcrError } from "@maoocr/lib";

import { t } from "./i18n.svelte.ts";
import { notify } from "./notices.svelte.ts";

/** What went wrong and what to do, in the person's language. */
export function explain(error: OcrError): string {
  const messages = t().errors;
  const known = messages[error.code as keyof typeof messages];
  if (typeof known === "string") return known;
  // Whatever a server says when it wants to be asked later: its queue is full, it shuts down, a proxy finds none.
  return error.retryAfter === null ? messages.other(error.code) : messages.server_busy;
}

/** Says that, and why, the CPU reads instead of the GPU. */
export function tellFallback(error: OcrError): void {
  const messages = t().gpu.fallback;
  const known = messages[error.code as keyof typeof messages];
  notify(typeof known === "string" ? known : messages.other(error.code));
}
