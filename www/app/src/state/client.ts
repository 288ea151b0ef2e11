// The app's one client, made when it is first needed.

import { OcrClient } from "@maoocr/lib";

const TOKEN = "maoocr-server-key";

let client: OcrClient | null = null;

export function ocr(): OcrClient {
  const base = new URL("./", location.href);
  const key = token();
  client ??= new OcrClient({
    base,
    createWorker: () => new Worker(new URL("../worker.ts", import.meta.url), { type: "module", name: "engine" }),
    remote: { base, ...(key && { token: key }) },
  });
  return client;
}

/** The server's key, until the tab is closed. */
export function token(): string {
  return sessionStorage.getItem(TOKEN) ?? "";
}

export function setToken(value: string): void {
  sessionStorage.setItem(TOKEN, value);
  client?.reset();
  client = null;
}
