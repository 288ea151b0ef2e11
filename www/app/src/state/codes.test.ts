import { expect, test } from "vitest";
import { prepareZXingModule, writeBarcode } from "zxing-wasm/writer";
import writer from "zxing-wasm/writer/zxing_writer.wasm?url";

import { codesIn } from "./codes.ts";

test("a QR code is read where the browser has no detector", async () => {
  Reflect.deleteProperty(globalThis, "BarcodeDetector");
  prepareZXingModule({ overrides: { locateFile: (path: string) => (path.endsWith(".wasm") ? writer : path) } });
  const { image } = await writeBarcode("https://example.org/収據", { format: "QRCode", scale: 4 });
  if (!image) throw new Error("no code was drawn");
  const bitmap = await createImageBitmap(image);
  const context = new OffscreenCanvas(400, 300).getContext("2d");
  if (!context) throw new Error("no canvas");
  context.fillStyle = "white";
  context.fillRect(0, 0, 400, 300);
  context.drawImage(bitmap, 120, 60);
  const codes = await codesIn(context.getImageData(0, 0, 400, 300));
  expect(codes.map(({ text }) => text)).toEqual(["https://example.org/収據"]);
  const [x, y] = codes[0]?.box[0] ?? [0, 0];
  expect(x).toBeGreaterThan(119);
  expect(y).toBeGreaterThan(59);
  expect(x).toBeLessThan(160);
  expect(y).toBeLessThan(100);
});
