// Which elements show a picture, where it is, and its pixels where the page may have them.

import type { Rect } from "../messages.ts";
import { elements, elementsAt, parentOf } from "./dom.ts";
import { area, clipOf, common, paints, samples, windowRect } from "./seen.ts";

/** Smaller ones are icons, px. */
const LEAST = 24;
/** A picture of more is read at a lower resolution, px. */
const MOST = 40e6;
/** Above, a JPEG: messages have a limit, and encoding takes time, px. */
const LARGE = 8e6;

/** Whether the element itself shows a picture: not one that only lies in it. */
export function isPicture(element: Element): boolean {
  const { width, height } = element.getBoundingClientRect();
  if (width < LEAST || height < LEAST) return false;
  if (/^(img|video|canvas|svg|iframe|embed|object)$/i.test(element.localName)) return true;
  if (element instanceof HTMLInputElement && element.type === "image") return true;
  if (element === document.body || element === document.documentElement) return false;
  return getComputedStyle(element).backgroundImage.includes("url(");
}

/** The picture that is seen at a place of the viewport. */
export function pictureAt(x: number, y: number, own: Element): Element | null {
  return elementsAt(x, y, own).find(isPicture) ?? null;
}

/** Those in view, from top to bottom. */
export function picturesInView(): Element[] {
  return elements()
    .filter((element) => isPicture(element) && area(shown(element)) > 0)
    .sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top);
}

/** The picture of that address: the one that the pointer is over, or most of which is seen. */
export function named(address: string): Element | null {
  const same = elements().filter(
    (element) =>
      (element instanceof HTMLImageElement ||
        element instanceof HTMLVideoElement ||
        (element instanceof HTMLInputElement && element.type === "image")) &&
      [(element as HTMLImageElement).currentSrc, element.src].includes(address),
  );
  const seen = new Map(same.map((element) => [element, area(shown(element))]));
  same.sort((a, b) => (seen.get(b) ?? 0) - (seen.get(a) ?? 0));
  return same.find((element) => element.matches(":hover")) ?? same[0] ?? null;
}

/** What of an element is seen, px of the viewport. */
export function shown(element: Element): Rect {
  return common(element.getBoundingClientRect(), clipOf(element));
}

/** What of a rectangle is in the viewport. */
export function visible(rect: Rect): Rect {
  return common(rect, windowRect());
}

/** The picture that a rectangle of the viewport shows and nothing else, and which part of it that is, px of the picture;
 * null where the screen shows it no coarser than the picture is. */
export function pictureWithin(rect: Rect, own: Element): { element: Element; part: Rect } | null {
  const at = samples(rect).map(([x, y]) =>
    elementsAt(x, y, own).find((element) => isPicture(element) || covers(element)),
  );
  const [element] = at;
  if (!element || at.some((other) => other !== element) || isTurned(element)) return null;
  const size = intrinsicSize(element);
  if (!size || getComputedStyle(element).filter !== "none") return null;
  const whole = pictureRect(element);
  const [scaleX, scaleY] = [size.width / whole.width, size.height / whole.height];
  if (Math.min(scaleX, scaleY) <= devicePixelRatio) return null;
  const within = common(rect, whole);
  if (area(within) < area(rect) * 0.98) return null;
  const [left, top] = [Math.floor((within.x - whole.x) * scaleX), Math.floor((within.y - whole.y) * scaleY)];
  const [width, height] = [Math.ceil(within.width * scaleX), Math.ceil(within.height * scaleY)];
  const part = common({ x: left, y: top, width, height }, { x: 0, y: 0, ...size });
  return area(part) > 0 ? { element, part } : null;
}

/** Whether an element hides what is below, or writes over it. */
function covers(element: Element): boolean {
  const writes = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.nodeValue?.trim());
  return writes || paints(element, getComputedStyle(element));
}

/** Where an element's picture is drawn, px of the viewport: without border and padding, fitted as its style says. */
export function pictureRect(element: Element): Rect {
  const outer = element.getBoundingClientRect();
  const size = intrinsicSize(element);
  if (!size || !(element instanceof HTMLElement)) return outer;
  const style = getComputedStyle(element);
  // Zoomed by a transform: the rectangle is, the style's lengths aren't.
  const [zoomX, zoomY] = [outer.width / element.offsetWidth || 1, outer.height / element.offsetHeight || 1];
  const side = (name: string): number => parseFloat(style.getPropertyValue(name)) || 0;
  const left = (side("border-left-width") + side("padding-left")) * zoomX;
  const right = (side("border-right-width") + side("padding-right")) * zoomX;
  const top = (side("border-top-width") + side("padding-top")) * zoomY;
  const bottom = (side("border-bottom-width") + side("padding-bottom")) * zoomY;
  const box = { x: outer.x + left, y: outer.y + top, width: outer.width - left - right, height: outer.height - top - bottom }; // prettier-ignore
  const fit = style.objectFit || "fill";
  if (fit === "fill") return box;
  const scales = [box.width / size.width, box.height / size.height];
  const contain = Math.min(...scales);
  const scale = { contain, cover: Math.max(...scales), none: zoomX, "scale-down": Math.min(zoomX, contain) }[fit] ?? 1;
  const [width, height] = [size.width * scale, size.height * scale];
  const [toX = "50%", toY = "50%"] = style.objectPosition.split(" ");
  const place = (position: string, room: number, zoom: number): number =>
    position.endsWith("%") ? (parseFloat(position) / 100) * room : parseFloat(position) * zoom;
  return {
    ...{ x: box.x + place(toX, box.width - width, zoomX), y: box.y + place(toY, box.height - height, zoomY) },
    ...{ width, height },
  };
}

/** px of the picture itself; null where it has no pixels of its own. */
function intrinsicSize(element: Element): { width: number; height: number } | null {
  if (element instanceof HTMLImageElement) return { width: element.naturalWidth, height: element.naturalHeight };
  if (element instanceof HTMLVideoElement) return { width: element.videoWidth, height: element.videoHeight };
  if (element instanceof HTMLCanvasElement) return { width: element.width, height: element.height };
  return null;
}

/** Whether it or what it lies in is turned: then its place is no rectangle along the window's sides. */
function isTurned(element: Element): boolean {
  for (let one: Element | null = element; one; one = parentOf(one)) {
    const { transform } = getComputedStyle(one);
    if (transform === "none") continue;
    const { a, b, c, d, is2D } = new DOMMatrix(transform);
    if (!is2D || b !== 0 || c !== 0 || a < 0 || d < 0) return true;
  }
  return false;
}

export interface Pixels {
  /** A `data:` address. */
  address: string;
  /** px */
  width: number;
  height: number;
}

/** The picture, or a part of it, at its own resolution; null where it is another site's, drawn by the browser, or not to be had. Images pass
 * through a bitmap: Chromium caches, up to 512 MB, what it decodes to draw an image on a canvas. */
export async function pixelsOf(element: Element, part: Rect | null = null): Promise<Pixels | null> {
  const size = intrinsicSize(element);
  if (!size || size.width < 1 || size.height < 1 || isTurned(element)) return null;
  const from = part ?? { x: 0, y: 0, ...size };
  const scale = Math.min(1, Math.sqrt(MOST / area(from)));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(from.width * scale));
  canvas.height = Math.max(1, Math.round(from.height * scale));
  const { width, height } = canvas;
  try {
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (!context) return null;
    const bitmap = element instanceof HTMLImageElement ? await createImageBitmap(element).catch(() => null) : null;
    const source = bitmap ?? (element as CanvasImageSource);
    context.drawImage(source, from.x, from.y, from.width, from.height, 0, 0, width, height);
    bitmap?.close();
    // A canvas of WebGL's may be empty between two frames; another site's picture throws here.
    if (element instanceof HTMLCanvasElement && isEmpty(context.getImageData(0, 0, width, height))) return null;
    const large = width * height > LARGE;
    const blob = await new Promise<Blob | null>((done) =>
      canvas.toBlob(done, large ? "image/jpeg" : "image/png", 0.95),
    );
    return blob && { address: await addressOf(blob), width, height };
  } catch {
    return null;
  } finally {
    canvas.width = canvas.height = 0;
  }
}

function isEmpty({ data }: ImageData): boolean {
  for (let i = 3; i < data.length; i += 4) if (data[i] !== 0) return false;
  return true;
}

function addressOf(blob: Blob): Promise<string> {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result as string);
    reader.onerror = () => failed(reader.error ?? new Error("unreadable"));
    reader.readAsDataURL(blob);
  });
}

/** A rectangle of this frame as the tab shows it, and the tab's viewport; null in a frame of another site. */
export function inTab(rect: Rect): { part: Rect; viewport: { width: number; height: number } } | null {
  const part = { ...rect };
  try {
    let frame: Window = window;
    while (frame !== frame.parent) {
      const element = frame.frameElement;
      if (!element) return null;
      const { x, y, width } = element.getBoundingClientRect();
      const style = getComputedStyle(element);
      const [left, right, top] = [style.paddingLeft, style.paddingRight, style.paddingTop].map(parseFloat) as [number, number, number]; // prettier-ignore
      // Zoomed or transformed, it is larger than its styles say; its content may have been zoomed with it.
      const { offsetWidth, clientWidth, clientLeft, clientTop } = element as HTMLElement;
      const zoom = width / offsetWidth || 1;
      const scale = ((clientWidth - left - right) * zoom) / frame.innerWidth || 1;
      part.x = part.x * scale + x + (clientLeft + left) * zoom;
      part.y = part.y * scale + y + (clientTop + top) * zoom;
      part.width *= scale;
      part.height *= scale;
      frame = frame.parent;
    }
    const { innerWidth: width, innerHeight: height, visualViewport: seen } = frame;
    // Zoomed with two fingers, the window shows a part of the page's viewport.
    if (!seen || seen.scale === 1) return { part, viewport: { width, height } };
    part.x -= seen.offsetLeft;
    part.y -= seen.offsetTop;
    return { part, viewport: { width: seen.width, height: seen.height } };
  } catch {
    return null;
  }
}
