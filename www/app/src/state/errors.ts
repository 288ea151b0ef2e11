import type { OcrError } from "@maoocr/lib";

import { t } from "./i18n.svelte.ts";

/** What went wrong and what to do, in the person's language. */
export function explain(error: OcrError): string {
  const messages = t().errors;
  if (error.code === "encrypted") return t().files.encrypted;
  const known = messages[error.code as keyof typeof messages];
  return typeof known === "string" ? known : messages.other(error.code);
}
