import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { OcrClient } from "../src/client.ts";
import { FakeWorker, FILE, reads } from "./fakes.ts";

const BASE = new URL("https://example.org/");
const picture = new Blob(["x"]);
const AFAR = { text: "from afar", lines: [], width: 1, height: 1 };
const bytes = new Uint8Array([1, 2, 3, 4]);
const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");

let posts: number;
/** What the server says to a picture. */
let says: () => Response;

const problem = (status: number, code: string, more: object = {}) =>
  Response.json({ code, detail: "", ...more }, { status });

function client(): OcrClient {
  return new OcrClient({
    base: BASE,
    createWorker: () => new FakeWorker(reads) as unknown as Worker,
    remote: { base: BASE },
  });
}

beforeEach(() => {
  posts = 0;
  vi.useFakeTimers();
  // Two cores: a reason to prefer the server.
  vi.stubGlobal("navigator", { onLine: true, hardwareConcurrency: 2 });
  vi.stubGlobal(
    "WebSocket",
    class {
      static readonly CONNECTING = 0;
      readonly readyState = 3;
      set onerror(fail: () => void) {
        queueMicrotask(fail);
      }
    },
  );
  vi.stubGlobal("fetch", async (url: URL) => {
    if (url.pathname === "/models.json") return Response.json({ models: [{ ...FILE, sha256 }] });
    if (url.pathname.startsWith("/models/")) return new Response(bytes);
    if (url.pathname === "/health") return Response.json({});
    posts += 1;
    return says();
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const auto = async (ocr: OcrClient) => {
  const { documents, decision } = await ocr.recognize(picture, { place: "auto" });
  return [documents[0]?.text, decision.reason];
};

test("automatic: what the server can't do, the device does, and the server is asked again", async () => {
  const ocr = client();
  says = () => problem(503, "queue_full", { retry_after: 2 });
  expect(await auto(ocr)).toEqual(["read", "server_failed"]);
  says = () => Response.json(AFAR);
  expect(await auto(ocr)).toEqual(["from afar", "weak_device"]);
  expect(posts).toBe(2);
});

test("automatic: a server that wants another key gets no more pictures", async () => {
  const ocr = client();
  says = () => problem(401, "key_missing");
  expect(await auto(ocr)).toEqual(["read", "server_key"]);
  expect(await auto(ocr)).toEqual(["read", "server_key"]);
  expect(await ocr.decide({}, "auto")).toEqual({ place: "device", reason: "server_key" });
  expect(posts).toBe(1);
});

test("automatic: a server that can't be reached is down for a while", async () => {
  const ocr = client();
  says = () => {
    throw new TypeError("refused");
  };
  expect(await auto(ocr)).toEqual(["read", "server_down"]);
  expect(await auto(ocr)).toEqual(["read", "server_down"]);
  expect(posts).toBe(1);
});

test("automatic: a picture's own fault is one on the device, too", async () => {
  says = () => problem(422, "malformed");
  await expect(auto(client())).rejects.toMatchObject({ code: "malformed" });
});

test("on the server: one that is busy is asked again when it says so, a few times", async () => {
  const server = (ocr: OcrClient, signal?: AbortSignal) =>
    ocr.recognize(picture, { place: "server", ...(signal && { signal }) });
  says = () => (posts < 3 ? problem(429, "rate_limited", { retry_after: 2 }) : Response.json(AFAR));
  const patient = server(client());
  await vi.advanceTimersByTimeAsync(1900);
  expect(posts).toBe(1);
  await vi.advanceTimersByTimeAsync(2200);
  expect((await patient).documents).toEqual([AFAR]);

  says = () => new Response("<html>", { status: 503, headers: { "retry-after": "1" } });
  posts = 0;
  const refused = expect(server(client())).rejects.toMatchObject({ code: "server", retryAfter: 1 });
  await vi.advanceTimersByTimeAsync(10_000);
  await refused;
  expect(posts).toBe(4);

  says = () => problem(429, "rate_limited", { retry_after: 3600 });
  await expect(server(client())).rejects.toMatchObject({ code: "rate_limited" });

  says = () => problem(503, "overloaded", { retry_after: 30 });
  const stop = new AbortController();
  const stopped = expect(server(client(), stop.signal)).rejects.toMatchObject({ code: "cancelled" });
  await vi.advanceTimersByTimeAsync(1000);
  stop.abort();
  await stopped;
});
