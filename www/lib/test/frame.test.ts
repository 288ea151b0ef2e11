import { expect, test } from "vitest";

import { emptied } from "../src/frame.ts";

test("bytes that are done with are given back, once", async () => {
  const sent = new Uint8Array([1, 2, 3]);
  const { port1, port2 } = new MessageChannel();
  const came = new Promise<ArrayBuffer>((resolve) => (port2.onmessage = ({ data }) => resolve(data as ArrayBuffer)));
  port1.postMessage(sent.buffer, [sent.buffer]);
  const bytes = await came;
  port1.close();
  emptied(bytes);
  expect(bytes.byteLength).toBe(0);
  emptied(bytes);
});

test("pixels that others share stay", () => {
  const data = new Uint8ClampedArray(new SharedArrayBuffer(4));
  emptied({ data, width: 1, height: 1 });
  expect(data.length).toBe(4);
});
