import { afterEach, describe, expect, test, vi } from "vitest";

import { RemoteClient } from "../src/remote.ts";
import type { Document } from "../src/types.ts";

const DOCUMENT = { text: "read", lines: [], width: 1, height: 1 } as unknown as Document;
const BASE = new URL("https://example.org/ocr/");
const picture = new Blob(["pixels"], { type: "image/png" });
const settle = () => new Promise((next) => setTimeout(next, 0));

class FakeSocket {
  static last: FakeSocket;
  static readonly CONNECTING = 0;
  static opens = true;
  readyState = 0;
  sent: unknown[] = [];
  closed = false;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;

  constructor(
    readonly url: URL,
    readonly protocols: string[],
  ) {
    FakeSocket.last = this;
    setTimeout(() => {
      this.readyState = 1;
      if (FakeSocket.opens) this.onopen?.();
      else this.onerror?.();
    }, 0);
  }

  send(message: unknown): void {
    this.sent.push(message);
  }

  close(): void {
    this.closed = true;
    this.onclose?.();
  }

  hear(message: unknown): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

function stub(answer: (url: URL, options: RequestInit) => Response | Promise<Response>, opens = true): void {
  FakeSocket.opens = opens;
  vi.stubGlobal("WebSocket", FakeSocket);
  vi.stubGlobal("fetch", async (url: URL, options: RequestInit = {}) => answer(url, options));
}

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const no = () => expect.unreachable("nothing is posted");

describe("over a WebSocket", () => {
  test("the picture goes, lines come as they are read", async () => {
    stub(no);
    const lines: string[] = [];
    const read = new RemoteClient({ base: BASE }).recognize(picture, {
      requirements: { language: "en" },
      onLine: ({ text }) => lines.push(text),
    });
    await settle();
    await settle();
    const socket = FakeSocket.last;
    expect([socket.url.href, socket.protocols]).toEqual(["wss://example.org/ocr/api/ocr/ws", ["maoocr"]]);
    expect(socket.sent).toEqual(['{"requirements":{"language":"en"}}', picture]);
    socket.hear({ event: "detected", boxes: [] });
    socket.hear({ event: "line", index: 0, text: "first", confidence: 1, box: [] });
    socket.hear({ event: "done", document: DOCUMENT });
    await expect(read).resolves.toEqual([DOCUMENT]);
    expect(lines).toEqual(["first"]);
    expect(socket.closed).toBe(true);
  });

  test("with a key, as a sub-protocol; pages come as pages", async () => {
    stub(no);
    const read = new RemoteClient({ base: BASE, token: "mao_x" }).recognize(picture, {});
    await settle();
    await settle();
    expect(FakeSocket.last.protocols).toEqual(["maoocr", "maoocr.key.mao_x"]);
    FakeSocket.last.hear({ event: "done", document: { ...DOCUMENT, pages: [DOCUMENT, DOCUMENT] } });
    await expect(read).resolves.toEqual([DOCUMENT, DOCUMENT]);
  });

  test("a cancel is sent", async () => {
    stub(no);
    const stop = new AbortController();
    const read = new RemoteClient({ base: BASE }).recognize(picture, { signal: stop.signal });
    const failed = expect(read).rejects.toMatchObject({ code: "cancelled" });
    await settle();
    await settle();
    stop.abort();
    await failed;
    expect(FakeSocket.last.sent.at(-1)).toBe('{"cancel":true}');
  });

  test("the server's errors keep their code; a connection that breaks is the network's", async () => {
    stub(no);
    const client = new RemoteClient({ base: BASE });
    const refused = expect(client.recognize(picture, {})).rejects.toMatchObject({ code: "malformed", message: "cut" });
    await settle();
    await settle();
    FakeSocket.last.hear({ event: "error", picture: 0, problem: { code: "malformed", detail: "cut" } });
    await refused;
    const broken = expect(client.recognize(picture, {})).rejects.toMatchObject({ code: "network" });
    await settle();
    await settle();
    FakeSocket.last.close();
    await broken;
  });

  test("a server that says nothing more is given up; each word it says gives it time", async () => {
    stub(no);
    vi.useFakeTimers();
    const read = new RemoteClient({ base: BASE }).recognize(picture, {});
    const failed = expect(read).rejects.toMatchObject({ code: "network", message: /nothing for 180 s/ });
    await vi.advanceTimersByTimeAsync(170_000);
    const socket = FakeSocket.last;
    socket.hear({ event: "detected", boxes: [] });
    await vi.advanceTimersByTimeAsync(170_000);
    expect(socket.closed).toBe(false);
    await vi.advanceTimersByTimeAsync(11_000);
    await failed;
    expect([socket.closed, socket.sent.at(-1)]).toEqual([true, '{"cancel":true}']);
  });
});

describe("over HTTP", () => {
  test("a server that doesn't answer is given up, one that stops in its answer, too", async () => {
    vi.useFakeTimers();
    const never = (signal: AbortSignal) =>
      new Promise<never>((_, failed) => signal.addEventListener("abort", () => failed(signal.reason as Error)));
    const halfway = (signal: AbortSignal) => ({ ok: true, json: () => never(signal) }) as unknown as Response;
    for (const answer of [never, halfway]) {
      stub((_, { signal }) => answer(signal as AbortSignal), false);
      const read = new RemoteClient({ base: BASE }).recognize(picture, {});
      const failed = expect(read).rejects.toMatchObject({ code: "network", message: /nothing for 180 s/ });
      await vi.advanceTimersByTimeAsync(181_000);
      await failed;
    }
  });

  test("where there is no WebSocket: picture and requirements as a form", async () => {
    let posted: FormData | null = null;
    stub((url, { body }) => {
      expect(url.href).toBe("https://example.org/ocr/api/ocr/recognize-with-requirements");
      posted = body as FormData;
      return Response.json(DOCUMENT);
    }, false);
    const answer = await new RemoteClient({ base: BASE }).recognize(picture, { requirements: { real_time: true } });
    expect(answer).toEqual([DOCUMENT]);
    expect((posted as FormData | null)?.get("requirements")).toBe('{"real_time":true}');
    expect((posted as FormData | null)?.get("image")).toBeInstanceOf(Blob);
  });

  test("with a key, as a bearer token", async () => {
    stub((_, { headers }) => {
      expect(headers).toEqual({ authorization: "Bearer secret" });
      return Response.json(DOCUMENT);
    }, false);
    await expect(new RemoteClient({ base: BASE, token: "secret" }).recognize(picture, {})).resolves.toEqual([DOCUMENT]);
  });

  test("problem documents keep their code", async () => {
    const problem = { code: "too_large", detail: "20 MB at most" };
    stub(() => Response.json(problem, { status: 413 }), false);
    await expect(new RemoteClient({ base: BASE }).recognize(picture, {})).rejects.toMatchObject({
      code: "too_large",
      message: "20 MB at most",
    });
    stub(() => new Response("<html>", { status: 502 }), false);
    await expect(new RemoteClient({ base: BASE }).recognize(picture, {})).rejects.toMatchObject({ code: "server" });
  });

  test("what is no answer of MaoOCR's is an error, not a text", async () => {
    const line = { text: "read", box: [], words: [] };
    for (const answer of [
      {},
      [],
      null,
      { ...DOCUMENT, text: 5 },
      { text: "read" },
      { ...DOCUMENT, lines: [{ ...line, text: {} }] },
      { ...DOCUMENT, pages: [] },
      { ...DOCUMENT, pages: [DOCUMENT, { text: "read" }] },
    ]) {
      stub(() => Response.json(answer), false);
      const read = new RemoteClient({ base: BASE }).recognize(picture, {});
      await expect(read).rejects.toMatchObject({ code: "server", message: expect.stringContaining("address") });
    }
    stub(() => new Response("<!doctype html>"), false);
    await expect(new RemoteClient({ base: BASE }).recognize(picture, {})).rejects.toMatchObject({ code: "server" });
    stub(no);
    const read = new RemoteClient({ base: BASE }).recognize(picture, {});
    const refused = expect(read).rejects.toMatchObject({ code: "server" });
    await settle();
    await settle();
    FakeSocket.last.hear({ event: "done", document: { text: 5 } });
    await refused;
  });

  test("the picture goes to the server that was named, not where that sends it", async () => {
    let redirect: RequestInit["redirect"];
    stub((_, options) => {
      redirect = options.redirect;
      return Response.json(DOCUMENT);
    }, false);
    await new RemoteClient({ base: BASE }).recognize(picture, {});
    expect(redirect).toBe("error");
  });

  test("a static host isn't taken for a server", async () => {
    const client = new RemoteClient({ base: BASE });
    stub(() => new Response("<!doctype html>", { headers: { "content-type": "text/html" } }));
    await expect(client.healthy()).resolves.toBe(false);
    stub(() => Response.json({ status: "ok" }));
    await expect(client.healthy()).resolves.toBe(true);
    stub(() => Promise.reject(new TypeError("refused")));
    await expect(client.healthy()).resolves.toBe(false);
  });
});
