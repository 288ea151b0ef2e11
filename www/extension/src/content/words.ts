// What is said, in the browser's language.

import type { Failure } from "./port.ts";

export function text(name: string, ...values: (string | number)[]): string {
  return chrome.i18n.getMessage(name, values.map(String));
}

export function counted(read: number, of: number): string {
  return text("readingLines", read, of);
}

/** Codes that people can do something about. */
const REASONS: Record<string, string> = {
  unreadable: "failedUnreadable",
  empty: "failedEmpty",
  network: "failedNetwork",
  key_missing: "failedKey",
  key_invalid: "failedKey",
  out_of_memory: "failedMemory",
  too_many_pixels: "failedMemory",
  outdated: "failedOutdated",
};

export function reason({ code, message }: Failure): string {
  const known = REASONS[code];
  return known ? text(known) : text("failed", message);
}
