// Which elements show a picture, where it is, and its pixels where the page may have them.

import type { Rect } from "../messages.ts";

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
  return stack(document, x, y).find((element) => element !== own && isPicture(element)) ?? null;
}

/** All elements there, the uppermost first, those in open shadow trees too. */
function stack(root: Document | ShadowRoot, x: number, y: number): Element[] {
  return root.elementsFromPoint(x, y).flatMap((element) => {
    const inner = element.shadowRoot && element.shadowRoot !== root ? stack(element.shadowRoot, x, y) : [];
    return [...inner.filter((one) => one !== element), element];
  });
}

/** Those in view, from top to bottom. */
export function picturesInView(): Element[] {
  return [...document.querySelectorAll("*")]
    .filter((element) => isPicture(element) && area(visible(element.getBoundingClientRect())) > 0)
    .sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top);
}

/** The picture of that address: the one that the pointer is over, or most of which is seen. */
export function named(address: string): Element | null {
  const all = [...document.querySelectorAll<HTMLImageElement | HTMLVideoElement>("img, video, input[type=image]")];
  const same = all.filter((element) => [element.currentSrc, element.src].includes(address));
  const seen = (element: Element): number => area(visible(element.getBoundingClientRect()));
  return same.sort((a, b) => seen(b) - seen(a)).find((element) => element.matches(":hover")) ?? same[0] ?? null;
}

/** What of a rectangle is in the viewport. */
export function visible({ x, y, width, height }: Rect): Rect {
  const [left, top] = [Math.max(0, x), Math.max(0, y)];
  const [right, bottom] = [Math.min(innerWidth, x + width), Math.min(innerHeight, y + height)];
  return { x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) };
}

export function area({ width, height }: Rect): number {
  return width * height;
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
  for (let one: Element | null = element; one; one = one.parentElement) {
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

/** The picture at its own resolution; null where it is another site's, drawn by the browser, or not to be had. Images pass
 * through a bitmap: Chromium caches, up to 512 MB, what it decodes to draw an image on a canvas. */
export async function pixelsOf(element: Element): Promise<Pixels | null> {
  const size = intrinsicSize(element);
  if (!size || size.width < 1 || size.height < 1 || isTurned(element)) return null;
  const scale = Math.min(1, Math.sqrt(MOST / (size.width * size.height)));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(size.width * scale);
  canvas.height = Math.round(size.height * scale);
  const { width, height } = canvas;
  try {
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (!context) return null;
    const bitmap = element instanceof HTMLImageElement ? await createImageBitmap(element).catch(() => null) : null;
    context.drawImage(bitmap ?? (element as CanvasImageSource), 0, 0, width, height);
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
      const { x, y } = element.getBoundingClientRect();
      const style = getComputedStyle(element);
      part.x += x + element.clientLeft + parseFloat(style.paddingLeft);
      part.y += y + element.clientTop + parseFloat(style.paddingTop);
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
