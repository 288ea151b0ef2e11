// The extension's one way to have something read, in whichever of its documents that is.

import { OcrClient } from "@maoocr/lib";

import type { Settings } from "./settings.ts";

let client: { of: string; ocr: OcrClient } | null = null;

/** The client for these settings; another server, or other models, are another client. */
export function ocr({ server, key, larger }: Pick<Settings, "server" | "key" | "larger">): OcrClient {
  const of = JSON.stringify([server, key, larger]);
  if (client?.of !== of) {
    client?.ocr.reset();
    const createWorker = () => new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "engine" });
    const createDocuments = () =>
      new Worker(new URL("./documents-worker.ts", import.meta.url), { type: "module", name: "documents" });
    const remote = server ? { remote: { base: new URL(server), ...(key && { token: key }) } } : {};
    const more = larger ? { more: { base: new URL(larger.server), files: larger.files } } : {};
    const base = new URL(chrome.runtime.getURL(""));
    client = { of, ocr: new OcrClient({ base, createWorker, createDocuments, ...remote, ...more }) };
  }
  return client.ocr;
}

/** What its engines take, bytes. */
export function memory(): number {
  return client?.ocr.memory ?? 0;
}
