// The page's end of the way to the engine.

import type { Document } from "@maoocr/lib";

import { READ, type Ask, type Source, type Told } from "../messages.ts";

export interface Listener {
  /** The pixels were taken: from now on the page may be drawn on. */
  started: () => void;
  lines: (read: number, of: number) => void;
}

export class Failure extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Has something read. The signal stops it. */
export async function read(
  source: Source,
  signal: AbortSignal,
  listener: Listener,
  title = document.title,
): Promise<Document> {
  await wake();
  return new Promise((done, failed) => {
    const port = chrome.runtime.connect({ name: READ });
    const stop = (): void => {
      port.disconnect();
      failed(new Failure("cancelled", "cancelled"));
    };
    signal.addEventListener("abort", stop, { once: true });
    const over = (): void => {
      signal.removeEventListener("abort", stop);
      port.disconnect();
    };
    port.onMessage.addListener((told: Told) => {
      if ("started" in told) listener.started();
      else if ("lines" in told) listener.lines(told.lines, told.of);
      else {
        over();
        if ("document" in told) done(told.document);
        else failed(new Failure(told.failed.code, told.failed.message));
      }
    });
    port.onDisconnect.addListener(() =>
      failed(new Failure("worker_lost", chrome.runtime.lastError?.message ?? "gone")),
    );
    const ask: Ask = { source, title };
    port.postMessage(ask);
  });
}

async function wake(): Promise<void> {
  // After an update of the extension, scripts of the earlier one are left alone.
  if (!chrome.runtime?.id) throw new Failure("outdated", "the extension was updated");
  const answer = (await chrome.runtime.sendMessage({ kind: "wake" })) as { error?: string } | undefined;
  if (!answer || answer.error) throw new Failure("internal", answer?.error ?? "the background doesn't answer");
}
