// The page's end of the way to the engine.

import type { Document } from "@maoocr/lib";

import { READ, type Ask, type Finish, type Source, type Told } from "../messages.ts";

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
  const way = await open(signal);
  try {
    const told = await way.ask({ source, title }, listener);
    if (!("document" in told)) throw new Failure("internal", "no text");
    return told.document;
  } finally {
    way.close();
  }
}

/** A way to the engine, over which one thing after another is asked. */
export interface Way {
  ask: (ask: Ask | Finish, listener?: Listener) => Promise<Answer>;
  close: () => void;
}

type Answer = Extract<Told, { document: Document } | { strips: number }>;

/** The signal closes it. */
export async function open(signal: AbortSignal): Promise<Way> {
  await wake();
  if (signal.aborted) throw new Failure("cancelled", "cancelled");
  const port = chrome.runtime.connect({ name: READ });
  let waiting: { done: (answer: Answer) => void; failed: (failure: Failure) => void; listener?: Listener } | null =
    null;
  let gone: Failure | null = null;
  const end = (failure: Failure): void => {
    gone ??= failure;
    waiting?.failed(failure);
  };
  const stop = (): void => {
    port.disconnect();
    end(new Failure("cancelled", "cancelled"));
  };
  signal.addEventListener("abort", stop, { once: true });
  port.onMessage.addListener((told: Told) => {
    if ("started" in told) waiting?.listener?.started();
    else if ("lines" in told) waiting?.listener?.lines(told.lines, told.of);
    else if ("failed" in told) waiting?.failed(new Failure(told.failed.code, told.failed.message));
    else waiting?.done(told);
  });
  port.onDisconnect.addListener(() => end(new Failure("worker_lost", chrome.runtime.lastError?.message ?? "gone")));
  return {
    ask: (ask, listener) =>
      new Promise((done, failed) => {
        if (gone) return failed(gone);
        waiting = { done, failed, ...(listener && { listener }) };
        port.postMessage(ask);
      }),
    close: () => {
      signal.removeEventListener("abort", stop);
      port.disconnect();
    },
  };
}

async function wake(): Promise<void> {
  // After an update of the extension, scripts of the earlier one are left alone.
  if (!chrome.runtime?.id) throw new Failure("outdated", "the extension was updated");
  const answer = (await chrome.runtime.sendMessage({ kind: "wake" })) as { error?: string } | undefined;
  if (!answer || answer.error) throw new Failure("internal", answer?.error ?? "the background doesn't answer");
}
