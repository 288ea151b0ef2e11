// A MaoOCR server, or an edge that speaks the same: over a WebSocket while a person waits, else over HTTP.

import { OcrError, cancelled, unless } from "./errors.ts";
import { encoded } from "./frame.ts";
import type { Document, LineEvent, Picture, Quad, RecognizeCall } from "./types.ts";

export interface RemoteOptions {
  /** Address of the server; `api/` lies beneath it. */
  base: URL;
  /** Sent as a bearer token where the server wants one. */
  token?: string;
}

/** RFC 9457, with the server's stable `code`. */
interface Problem {
  code?: string;
  detail?: string;
  title?: string;
  retry_after?: number;
}

type ServerEvent =
  | { event: "detected"; boxes: Quad[] }
  | ({ event: "line" } & LineEvent)
  | { event: "withdrawn"; index: number }
  | { event: "done"; document: Answered }
  | { event: "error"; problem: Problem }
  | { event: "skipped" | "cancelled" };

/** A page; of a file with several, the first one with all of them. */
type Answered = Document & { pages?: Document[] };

/** Browsers can't set a WebSocket's headers: a key is offered as a sub-protocol, beside the one that is spoken. */
const PROTOCOL = "maoocr";
const KEY_PROTOCOL = "maoocr.key.";

/** How often a server that is busy is asked in all. */
const TRIES = 4;
/** One that wants to be left alone for longer isn't asked again, s. */
const PATIENCE = 60;

/** A server that hasn't answered a health check by then is taken for down, ms. */
const HEALTH_TIMEOUT = 3000;
/** A WebSocket that isn't open by then is done without, ms. */
const OPEN_TIMEOUT = 10_000;
/** One that says nothing for so long won't answer any more, ms. Servers give a picture 30 s unless they are told otherwise;
 * the rest is for its way there. */
const SILENCE = 180_000;

export class RemoteClient {
  readonly #options: RemoteOptions;

  constructor(options: RemoteOptions) {
    this.#options = options;
  }

  async healthy(): Promise<boolean> {
    try {
      const url = new URL("health", this.#options.base);
      const response = await fetch(url, {
        cache: "no-store",
        redirect: "error",
        signal: AbortSignal.timeout(HEALTH_TIMEOUT),
      });
      // A static host answers unknown addresses with the app's page.
      return response.ok && (response.headers.get("content-type") ?? "").includes("json");
    } catch {
      return false;
    }
  }

  /** As `recognize`; a server that is busy is asked again when it says so. */
  async recognizePatiently(picture: Picture, call: RecognizeCall): Promise<Document[]> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.recognize(picture, call);
      } catch (thrown) {
        const { retryAfter } = OcrError.from(thrown);
        if (retryAfter === null || retryAfter > PATIENCE || tries === TRIES) throw thrown;
        await unless(call.signal, new Promise((next) => setTimeout(next, 1000 * retryAfter)));
      }
    }
  }

  /** One picture with requirements. Lines are told as they come where the server can be reached over a WebSocket. */
  async recognize(picture: Picture, call: RecognizeCall): Promise<Document[]> {
    const file = picture instanceof Blob ? picture : await encoded(picture);
    if (call.requirements?.batch_processing) return this.#post(file, call);
    const socket = await this.#open(call);
    return socket ? converse(socket, file, call) : this.#post(file, call);
  }

  async #post(file: Blob, { requirements, signal, onStarted }: RecognizeCall): Promise<Document[]> {
    const form = new FormData();
    form.set("image", file, "picture");
    form.set("requirements", JSON.stringify(requirements ?? {}));
    const { base, token } = this.#options;
    onStarted?.();
    const stop = new AbortController();
    const abort = (): void => stop.abort();
    const late = setTimeout(abort, SILENCE);
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted) abort();
    try {
      const response = await fetch(new URL("api/ocr/recognize-with-requirements", base), {
        method: "POST",
        body: form,
        // The picture is for this server, and for none that it names.
        redirect: "error",
        ...(token && { headers: { authorization: `Bearer ${token}` } }),
        signal: stop.signal,
      });
      if (!response.ok) throw await problem(response);
      return pages(
        await response.json().catch((thrown: unknown) => (stop.signal.aborted ? Promise.reject(thrown) : null)),
      );
    } catch (thrown) {
      if (signal?.aborted) throw cancelled();
      if (thrown instanceof OcrError) throw thrown;
      throw stop.signal.aborted ? silent() : new OcrError("network", `the server can't be reached: ${String(thrown)}`);
    } finally {
      clearTimeout(late);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Null where there is no WebSocket: an old proxy, a server without. */
  #open({ signal }: RecognizeCall): Promise<WebSocket | null> {
    const url = new URL("api/ocr/ws", this.#options.base);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const { token } = this.#options;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(cancelled());
      const socket = new WebSocket(url, token ? [PROTOCOL, KEY_PROTOCOL + token] : [PROTOCOL]);
      const late = setTimeout(() => socket.close(), OPEN_TIMEOUT);
      socket.onopen = () => {
        clearTimeout(late);
        resolve(socket);
      };
      socket.onerror = () => {
        clearTimeout(late);
        resolve(null);
      };
      signal?.addEventListener("abort", () => socket.readyState === WebSocket.CONNECTING && socket.close(), {
        once: true,
      });
    });
  }
}

function converse(socket: WebSocket, file: Blob, call: RecognizeCall): Promise<Document[]> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      socket.send(JSON.stringify({ cancel: true }));
      finish(() => reject(cancelled()));
    };
    const giveUp = () => {
      socket.send(JSON.stringify({ cancel: true }));
      finish(() => reject(silent()));
    };
    let late = setTimeout(giveUp, SILENCE);
    const finish = (settle: () => void) => {
      clearTimeout(late);
      call.signal?.removeEventListener("abort", stop);
      socket.onclose = null;
      socket.close();
      settle();
    };
    socket.onclose = () => finish(() => reject(new OcrError("network", "the server broke off")));
    socket.onerror = null;
    socket.onmessage = ({ data }: MessageEvent<string>) => {
      clearTimeout(late);
      late = setTimeout(giveUp, SILENCE);
      const message = event(data);
      if (!message) return finish(() => reject(foreign()));
      switch (message.event) {
        case "detected":
          return call.onDetected?.(message.boxes);
        case "line":
          return call.onLine?.(message);
        case "withdrawn":
          return call.onWithdrawn?.(message.index);
        case "done":
          return finish(() => {
            try {
              resolve(pages(message.document));
            } catch (thrown) {
              reject(OcrError.from(thrown));
            }
          });
        case "error":
          return finish(() => reject(failure(message.problem)));
      }
    };
    if (call.signal?.aborted) return stop();
    call.signal?.addEventListener("abort", stop, { once: true });
    socket.send(JSON.stringify({ requirements: call.requirements ?? {} }));
    socket.send(file);
    call.onStarted?.();
  });
}

async function problem(response: Response): Promise<OcrError> {
  const told = (await response.json().catch(() => ({}))) as Problem;
  // A proxy says it in the header only; a date isn't worth the trouble.
  const wait = Number.parseInt(response.headers.get("retry-after") ?? "", 10);
  return failure({
    title: `the server answered with HTTP ${response.status}`,
    ...(Number.isFinite(wait) && { retry_after: wait }),
    ...told,
  });
}

function failure({ code, detail, title, retry_after }: Problem): OcrError {
  return new OcrError(code ?? "server", detail ?? title ?? "the server failed", retry_after);
}

function event(data: unknown): ServerEvent | null {
  try {
    const message: unknown = JSON.parse(String(data));
    return typeof message === "object" ? (message as ServerEvent | null) : null;
  } catch {
    return null;
  }
}

/** The answer's pages, if it is one: whatever listens at the address may answer, and what is kept must be readable. */
function pages(answer: unknown): Document[] {
  const pages = (answer as Answered | null)?.pages ?? [answer];
  if (!Array.isArray(pages) || pages.length === 0 || !pages.every(isDocument)) throw foreign();
  return pages;
}

function isDocument(page: unknown): page is Document {
  const { text, lines, width, height } = (page ?? {}) as Partial<Document>;
  return (
    typeof text === "string" &&
    typeof width === "number" &&
    typeof height === "number" &&
    Array.isArray(lines) &&
    lines.every((line) => typeof line?.text === "string" && Array.isArray(line.box) && Array.isArray(line.words))
  );
}

function silent(): OcrError {
  return new OcrError("network", `the server has said nothing for ${SILENCE / 1000} s`);
}

function foreign(): OcrError {
  return new OcrError("server", "the server doesn't answer as a MaoOCR server does: check its address");
}
