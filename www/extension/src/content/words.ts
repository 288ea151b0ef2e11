// What is said, in the browser's language.

export function text(name: string, ...values: (string | number)[]): string {
  return chrome.i18n.getMessage(name, values.map(String));
}

export function counted(read: number, of: number): string {
  return text("readingLines", read, of);
}

/** What people can do about it, by code. */
const REASONS: Record<string, string> = {
  unreadable: "failedUnreadable",
  empty: "failedEmpty",
  outdated: "failedOutdated",
  network: "failedNetwork",
  server: "failedServer",
  deadline_exceeded: "failedBusy",
  queue_full: "failedBusy",
  rate_limited: "failedBusy",
  server_busy: "failedBusy",
  key_missing: "failedKey",
  key_invalid: "failedKey",
  scope_missing: "failedKey",
  out_of_memory: "failedMemory",
  too_large: "failedMemory",
  too_many_pixels: "failedMemory",
  device_lost: "failedLost",
  terminated: "failedLost",
  worker_lost: "failedLost",
  model_not_installed: "failedModels",
  models_unavailable: "failedModels",
  unknown_model: "failedModels",
  storage_full: "failedStorage",
  quota: "failedStorage",
  malformed: "failedDamaged",
  truncated: "failedDamaged",
  unknown_format: "failedDamaged",
  unsupported: "failedDamaged",
  too_complex: "failedComplex",
  too_many_pages: "failedTooLarge",
};

/** A sentence for people; codes that nobody can do anything about are told to whoever reports them. */
export function reason(code: string): string {
  const known = REASONS[code];
  return known ? text(known) : text("failed", code);
}
