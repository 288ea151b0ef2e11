// QR codes and barcodes in what the camera sees: found by the browser, or by ZXing where it has no detector.

import type { Quad } from "@maoocr/lib";

export interface Code {
  text: string;
  /** px of the frame */
  box: Quad;
}

type Detect = (frame: ImageData) => Promise<Code[]>;

interface Detector {
  detect(source: ImageData): Promise<{ rawValue: string; cornerPoints: { x: number; y: number }[] }[]>;
}

declare const BarcodeDetector: ((new () => Detector) & { getSupportedFormats(): Promise<string[]> }) | undefined;

let detecting: Promise<Detect> | null = null;

/** Fails where ZXing couldn't be fetched. */
export async function codesIn(frame: ImageData): Promise<Code[]> {
  detecting ??= open().catch((thrown: unknown) => {
    detecting = null;
    throw thrown;
  });
  return (await detecting)(frame);
}

async function open(): Promise<Detect> {
  if (typeof BarcodeDetector === "function" && (await BarcodeDetector.getSupportedFormats()).includes("qr_code")) {
    const detector = new BarcodeDetector();
    return async (frame) =>
      (await detector.detect(frame)).map(({ rawValue, cornerPoints }) => ({
        text: rawValue,
        box: cornerPoints.map(({ x, y }) => [x, y]) as Quad,
      }));
  }
  const [{ prepareZXingModule, readBarcodes }, { default: wasm }] = await Promise.all([
    import("zxing-wasm/reader"),
    import("zxing-wasm/reader/zxing_reader.wasm?url"),
  ]);
  prepareZXingModule({ overrides: { locateFile: (path: string) => (path.endsWith(".wasm") ? wasm : path) } });
  return async (frame) => {
    const found = await readBarcodes(frame, { maxNumberOfSymbols: 4, tryHarder: false });
    return found.map(({ text, position: { topLeft, topRight, bottomRight, bottomLeft } }) => ({
      text,
      box: [topLeft, topRight, bottomRight, bottomLeft].map(({ x, y }) => [x, y]) as Quad,
    }));
  };
}
