// The engine's side of a port: takes what is to be read, gets its pixels, tells of lines, keeps the result.

import { emptied, joined, OcrError, type Document, type Frame, type Strip } from "@maoocr/lib";

import { memory, ocr } from "./client.ts";
import { keep } from "./history.ts";
import { tellMemory } from "./memory.ts";
import { isAsk, isFinish, READ, type Ask, type Source, type ToBackground, type Told } from "./messages.ts";
import { requirementsOf, type Settings } from "./settings.ts";

/** Without anything to read for so long the document closes and gives back all of its memory, ms. */
const IDLE = 5 * 60_000;
/** Firefox ends a background that calls nothing of its interface for a while, 30 s by default. ms */
const HEARTBEAT = 1000;
/** Longest side of a small picture, px. */
const THUMBNAIL = 160;
/** A page's script asks for fewer. */
const MOST_STRIPS = 200;

/** What was read of something that is scrolled. */
interface Scrolled {
  strips: Strip[];
  title: string;
  /** Of the first strip; none where nothing is kept. */
  thumbnail: Blob | null;
}

let running = 0;
let closing: ReturnType<typeof setTimeout> | undefined;

/** Asks the background; rejected with what it couldn't do. */
export type AskBackground = (message: ToBackground) => Promise<unknown>;

/** Answers ports from now on. */
export function hostEngine(background: AskBackground): void {
  chrome.runtime.onConnect.addListener((port) => {
    if (port.name !== READ || port.sender?.id !== chrome.runtime.id) return;
    const stop = new AbortController();
    const scrolled: Scrolled = { strips: [], title: "", thumbnail: null };
    port.onDisconnect.addListener(() => stop.abort());
    port.onMessage.addListener((ask: unknown) => void answer(port, ask, scrolled, background, stop.signal));
  });
  tellMemory(memory);
  rest();
}

async function answer(
  port: chrome.runtime.Port,
  ask: unknown,
  scrolled: Scrolled,
  background: AskBackground,
  signal: AbortSignal,
): Promise<void> {
  const tell = (told: Told): void => {
    if (!signal.aborted) port.postMessage(told);
  };
  running += 1;
  clearTimeout(closing);
  const stir = (): void => void chrome.runtime.getPlatformInfo?.();
  stir();
  const beat = setInterval(stir, HEARTBEAT);
  try {
    if (isFinish(ask)) return tell(await finish(scrolled));
    if (!isAsk(ask)) throw new OcrError("invalid_argument", "no such request");
    tell(await read(ask, scrolled, port.sender ?? {}, background, signal, tell));
  } catch (thrown) {
    const { code, message } = OcrError.from(thrown);
    tell({ failed: { code, message } });
  } finally {
    clearInterval(beat);
    running -= 1;
    if (running === 0) rest();
  }
}

/** An offscreen document may close itself. */
function rest(): void {
  closing = setTimeout(() => {
    if (running === 0 && location.pathname.endsWith("offscreen.html")) window.close();
  }, IDLE);
}

async function read(
  { source, title, strip }: Ask,
  scrolled: Scrolled,
  sender: chrome.runtime.MessageSender,
  background: AskBackground,
  signal: AbortSignal,
  tell: (told: Told) => void,
): Promise<Told> {
  const settings = (await background({ kind: "settings" })) as Settings;
  const bitmap = await picture(source, sender, background);
  let frame: Frame | undefined;
  try {
    frame = frameOf(bitmap);
    let [found, seen] = [0, 0];
    const { documents } = await ocr(settings).recognize(frame, {
      ...{ requirements: requirementsOf(settings), place: settings.place, alone: running === 1, signal },
      onStarted: () => tell({ started: true }),
      onDetected: (boxes) => tell({ lines: (seen = 0), of: (found = boxes.length) }),
      onLine: () => tell({ lines: Math.min(++seen, found), of: found }),
    });
    const [document] = documents;
    if (!document) throw new OcrError("internal", "no page");
    const keeps = settings.keepHistory && !sender.tab?.incognito;
    if (strip === undefined) {
      if (keeps && document.text) await keepResult(document, title, await shrunk(bitmap));
      return { document };
    }
    if (scrolled.strips.length >= MOST_STRIPS) throw new OcrError("too_complex", "too many strips");
    const scale = "part" in source ? bitmap.width / source.part.width : 1;
    // Somebody scrolled while it was looked at: it comes again.
    scrolled.strips = scrolled.strips.filter(({ top }) => top !== strip * scale);
    scrolled.strips.push({ top: strip * scale, document });
    scrolled.title = title;
    if (keeps) scrolled.thumbnail ??= await shrunk(bitmap);
    return { strips: scrolled.strips.length };
  } finally {
    bitmap.close();
    if (frame) emptied(frame);
  }
}

/** The text of all strips. */
async function finish({ strips, title, thumbnail }: Scrolled): Promise<Told> {
  if (strips.length === 0) throw new OcrError("empty", "nothing was read");
  const document = joined(strips);
  if (thumbnail && document.text) await keepResult(document, title, thumbnail);
  return { document };
}

/** A history that is full or locked is no reason to keep a text back. */
async function keepResult(document: Document, title: string, thumbnail: Blob): Promise<void> {
  try {
    await keep({ id: crypto.randomUUID(), at: Date.now(), title: title.slice(0, 300), document, thumbnail });
  } catch (thrown) {
    console.warn("MaoOCR's history:", thrown); // eslint-disable-line no-console -- there is nobody to tell
  }
}

async function picture(
  source: Source,
  sender: chrome.runtime.MessageSender,
  background: AskBackground,
): Promise<ImageBitmap> {
  if ("pixels" in source) return decoded(source.pixels);
  const own = sender.url?.startsWith(chrome.runtime.getURL("")) ?? false;
  // A page's script gets what its own tab shows, the extension's pages whatever they name.
  if ("tab" in source && !own) throw new OcrError("invalid_argument", "not from here");
  const [tab, window] = "tab" in source ? [source.tab, source.window] : [sender.tab?.id, sender.tab?.windowId];
  if (tab === undefined || window === undefined) throw new OcrError("unreadable", "there is no such tab");
  const captured = await background({ kind: "capture", tab, window }).catch((thrown: unknown) => {
    throw new OcrError("unreadable", String(thrown));
  });
  const whole = await decoded(captured as string);
  if ("tab" in source) return whole;
  const { part, viewport } = source;
  const scale = whole.width / viewport.width;
  const left = Math.max(0, Math.round(part.x * scale));
  const top = Math.max(0, Math.round(part.y * scale));
  const right = Math.min(whole.width, Math.round((part.x + part.width) * scale));
  const bottom = Math.min(whole.height, Math.round((part.y + part.height) * scale));
  if (right - left < 1 || bottom - top < 1) throw new OcrError("empty", "nothing of it is in view");
  const bitmap = await createImageBitmap(whole, left, top, right - left, bottom - top);
  whole.close();
  return bitmap;
}

/** `data:` addresses aren't fetched: the pages' policy allows none. */
async function decoded(address: string): Promise<ImageBitmap> {
  const [head = "", base64 = ""] = address.split(",", 2);
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const type = /^data:(image\/[\w.+-]+);base64$/.exec(head)?.[1];
  if (!type) throw new OcrError("invalid_argument", "no picture");
  return createImageBitmap(new Blob([bytes], { type })).catch((thrown: unknown) => {
    throw new OcrError("malformed", String(thrown));
  });
}

function drawn(bitmap: ImageBitmap, width: number, height: number): OffscreenCanvasRenderingContext2D {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new OcrError("out_of_memory", "no canvas of this size");
  context.drawImage(bitmap, 0, 0, width, height);
  return context;
}

function frameOf(bitmap: ImageBitmap): Frame {
  const { width, height } = bitmap;
  const context = drawn(bitmap, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  blank(context.canvas);
  return { data: new Uint8ClampedArray(data.buffer), width, height };
}

async function shrunk(bitmap: ImageBitmap): Promise<Blob> {
  const scale = Math.min(1, THUMBNAIL / Math.max(bitmap.width, bitmap.height));
  const side = (length: number): number => Math.max(1, Math.round(length * scale));
  const { canvas } = drawn(bitmap, side(bitmap.width), side(bitmap.height));
  const small = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.8 });
  blank(canvas);
  return small;
}

/** Gives its pixels back now: the browser collects canvases late, for it doesn't see how large they are. */
function blank(canvas: OffscreenCanvas): void {
  canvas.width = canvas.height = 0;
}
