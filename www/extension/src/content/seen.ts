// What of a picture the page lets be seen: not what was scrolled out of the box that it lies in, nor what is below a header
// that stays in its place.

import type { Rect } from "../messages.ts";
import { elementsAt, holds, parentOf } from "./dom.ts";

export function area({ width, height }: Rect): number {
  return width * height;
}

/** What two have in common; without width or height where that is nothing. */
export function common(a: Rect, b: Rect): Rect {
  const [x, y] = [Math.max(a.x, b.x), Math.max(a.y, b.y)];
  const [right, bottom] = [Math.min(a.x + a.width, b.x + b.width), Math.min(a.y + a.height, b.y + b.height)];
  return { x, y, width: Math.max(0, right - x), height: Math.max(0, bottom - y) };
}

/** What is left of one, as rectangles that don't overlap. */
function without(rect: Rect, hole: Rect): Rect[] {
  const cut = common(rect, hole);
  if (area(cut) === 0) return [rect];
  const { x, y, width, height } = rect;
  const below = cut.y + cut.height;
  const beside = cut.x + cut.width;
  const parts = [
    { x, y, width, height: cut.y - y },
    { x, y: below, width, height: y + height - below },
    { x, y: cut.y, width: cut.x - x, height: cut.height },
    { x: beside, y: cut.y, width: x + width - beside, height: cut.height },
  ];
  return parts.filter((part) => area(part) > 0);
}

export function windowRect(): Rect {
  return { x: 0, y: 0, width: innerWidth, height: innerHeight };
}

/** Where an element lies within its border, px of the viewport. */
export function inside(element: Element): Rect {
  const outer = element.getBoundingClientRect();
  if (!(element instanceof HTMLElement)) return outer;
  const [zoomX, zoomY] = [outer.width / element.offsetWidth || 1, outer.height / element.offsetHeight || 1];
  return {
    ...{ x: outer.x + element.clientLeft * zoomX, y: outer.y + element.clientTop * zoomY },
    ...{ width: element.clientWidth * zoomX, height: element.clientHeight * zoomY },
  };
}

/** Whether even what is fixed to the window is fixed to this. */
function holdsFixed(style: CSSStyleDeclaration): boolean {
  return (
    [style.transform, style.translate, style.scale, style.rotate, style.perspective, style.filter].some(
      (value) => value && value !== "none",
    ) ||
    /transform|filter|perspective/.test(style.willChange) ||
    /paint|layout|strict|content/.test(style.contain)
  );
}

/** What the boxes that an element lies in let be seen of it. */
export function clipOf(element: Element): Rect {
  let clip = windowRect();
  let { position } = getComputedStyle(element);
  const { overflow } = getComputedStyle(document.documentElement);
  for (let box = parentOf(element); box && box !== document.documentElement; box = parentOf(box)) {
    const style = getComputedStyle(box);
    const fixed = holdsFixed(style);
    if (position === "fixed" && !fixed) continue;
    if (position === "absolute" && style.position === "static" && !fixed) continue;
    ({ position } = style);
    // The body's is the window's.
    if (/^(inline|contents)$/.test(style.display) || (box === document.body && overflow === "visible")) continue;
    const clips = /paint|strict|content/.test(style.contain);
    const [across, down] = [style.overflowX, style.overflowY].map((value) => clips || value !== "visible");
    if (!across && !down) continue;
    const { x, y, width, height } = inside(box);
    clip = common(clip, {
      ...(across ? { x, width } : { x: clip.x, width: clip.width }),
      ...(down ? { y, height } : { y: clip.y, height: clip.height }),
    });
  }
  return clip;
}

/** Whether it hides what is below. */
export function paints(element: Element, style: CSSStyleDeclaration): boolean {
  if (style.visibility !== "visible" || Number(style.opacity) < 0.5) return false;
  if (/^(img|video|canvas|iframe|embed|object)$/.test(element.localName)) return true;
  if (style.backgroundImage !== "none") return true;
  const alpha = /(?:,|\/)\s*([\d.]+%?)\)$/.exec(style.backgroundColor.replace(/^rgb\(.*/, ""))?.[1];
  return alpha === undefined || (alpha.endsWith("%") ? parseFloat(alpha) / 100 : parseFloat(alpha)) >= 0.5;
}

/** The edges and what is between them, as shares. */
const SAMPLES = [0, 0.25, 0.5, 0.75, 1];

/** A place in a rectangle, not on its very edge. */
export function samples({ x, y, width, height }: Rect): [number, number][] {
  const along = (at: number, size: number, share: number): number =>
    Math.min(at + size - 1, Math.max(at + 1, at + size * share));
  return SAMPLES.flatMap((down) =>
    SAMPLES.map((across): [number, number] => [along(x, width, across), along(y, height, down)]),
  );
}

/** What lies over a part of an element and stays there while the page is scrolled: headers, dialogs. Sampled. */
export function coversOf(element: Element, part: Rect, own: Element): Set<Element> {
  const covers = new Set<Element>();
  if (area(part) === 0) return covers;
  for (const [x, y] of samples(part)) {
    for (const one of elementsAt(x, y, own)) {
      if (holds(one, element) || holds(element, one)) break;
      const cover = stuck(one, element);
      if (cover) covers.add(cover);
    }
  }
  return covers;
}

/** The outermost part that is painted of what stays in its place and has this in it. */
function stuck(one: Element, element: Element): Element | null {
  let painted: Element | null = null;
  for (let box: Element | null = one; box && !holds(box, element); box = parentOf(box)) {
    const style = getComputedStyle(box);
    if (paints(box, style)) painted = box;
    if (painted && /fixed|sticky/.test(style.position)) return painted;
  }
  return null;
}

/** What is left of a part, as rectangles that don't overlap. */
export function uncovered(part: Rect, covers: readonly Rect[]): Rect[] {
  return covers.reduce((left, cover) => left.flatMap((rect) => without(rect, cover)), area(part) > 0 ? [part] : []);
}

export function largest(rects: readonly Rect[]): Rect | null {
  return [...rects].sort((a, b) => area(b) - area(a))[0] ?? null;
}
