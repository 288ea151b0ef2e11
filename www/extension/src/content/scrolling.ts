// The text of a whole page: it is scrolled, and what is seen of it read, strip by strip.

import type { Document } from "@maoocr/lib";

import type { Rect } from "../messages.ts";
import type { Settings } from "../settings.ts";
import { drawn, openHost, type Host } from "./host.ts";
import { Panel } from "./panel.ts";
import { inTab, visible } from "./pictures.ts";
import { Failure, open, type Way } from "./port.ts";
import { readPart, tell } from "./reading.ts";

/** What a strip shows again of the one above it, as a share of its height: a line is whole in one of them. */
const OVERLAP = 0.2;
/** A page without an end is read so far, strips. */
const MOST = 100;
/** Less than this is no more to scroll, px. */
const SLACK = 2;
/** So long pictures that come into view are waited for, ms. */
const PATIENCE = 1500;
/** Somebody scrolls while a strip is looked at: it is looked at so often. */
const TRIES = 4;

/** What of the page scrolls, and the part of the window that it takes. */
interface Scroller {
  element: Element;
  region: () => Rect;
}

export async function readPage(settings: Settings): Promise<void> {
  const scroller = scrollerOf();
  const window: Rect = { x: 0, y: 0, width: innerWidth, height: innerHeight };
  if (!scroller) return readPart(window, settings);
  const host = openHost(settings.theme);
  const panel = new Panel(host, window, settings);
  await tell(panel, strips(scroller, host, panel));
}

async function strips(scroller: Scroller, host: Host, panel: Panel): Promise<Document> {
  const { element } = scroller;
  const start = { left: element.scrollLeft, top: element.scrollTop };
  const hidden = new Hidden();
  const way = await open(host.closed);
  let enough = false;
  try {
    for (let n = 0, top = 0; n < MOST && !enough; n++) {
      panel.scrolled(n, n + left(scroller, top), () => (enough = true));
      const { at, height } = await strip(scroller, way, panel, top);
      if (at + height >= element.scrollHeight - SLACK) break;
      hidden.add(scroller.region());
      top = at + Math.max(1, Math.floor(height * (1 - OVERLAP)));
    }
    panel.unseen(false);
    const told = await way.ask({ finish: true });
    if (!("document" in told)) throw new Failure("internal", "no text");
    return told.document;
  } finally {
    way.close();
    hidden.show();
    panel.unseen(false);
    element.scrollTo({ ...start, behavior: "instant" });
  }
}

/** How many strips there are from here on, if the page doesn't grow. */
function left({ element, region }: Scroller, top: number): number {
  const { height } = region();
  return Math.max(1, Math.ceil((element.scrollHeight - top - height) / (height * (1 - OVERLAP))) + 1);
}

/** Has what is to be seen there read. */
async function strip(
  { element, region }: Scroller,
  way: Way,
  panel: Panel,
  top: number,
): Promise<{ at: number; height: number }> {
  for (let tried = 1; ; tried++) {
    panel.unseen(true);
    element.scrollTo({ top, behavior: "instant" });
    await settled(region());
    const part = visible(region());
    const source = inTab(part);
    if (!source) throw new Failure("unreadable", "another site's frame");
    const at = element.scrollTop;
    let moved = false;
    const listener = {
      started: () => {
        moved = Math.abs(element.scrollTop - at) > SLACK;
        panel.unseen(false);
      },
      lines: () => undefined,
    };
    // Taken back by the next one at the same place.
    await way.ask({ source, title: document.title, strip: at }, listener);
    if (!moved || tried === TRIES) return { at, height: part.height };
  }
}

/** Once what came into view is drawn. */
async function settled(region: Rect): Promise<void> {
  await drawn();
  const late = [...document.images].filter((image) => {
    const { x, y, right, bottom } = image.getBoundingClientRect();
    const seen = right > region.x && bottom > region.y && x < region.x + region.width && y < region.y + region.height;
    return seen && !image.complete;
  });
  const loaded = Promise.allSettled(late.map((image) => image.decode()));
  await Promise.race([loaded, new Promise((next) => setTimeout(next, late.length > 0 ? PATIENCE : 0))]);
  await drawn();
}

/** The page, or where that doesn't scroll, the largest part of it that does. */
function scrollerOf(): Scroller | null {
  const page = document.scrollingElement;
  if (page && page.scrollHeight > innerHeight + SLACK && getComputedStyle(page).overflowY !== "hidden") {
    return { element: page, region: () => ({ x: 0, y: 0, width: innerWidth, height: innerHeight }) };
  }
  const area = (element: Element): number => {
    const { width, height } = visible(element.getBoundingClientRect());
    return width * height;
  };
  const scrolls = (element: Element): boolean =>
    element.scrollHeight > element.clientHeight + SLACK && /auto|scroll/.test(getComputedStyle(element).overflowY);
  const [element] = [...document.querySelectorAll("body *")].filter(scrolls).sort((a, b) => area(b) - area(a));
  // A small list in a corner isn't what a person means by the page.
  if (!element || area(element) < (innerWidth * innerHeight) / 4) return null;
  const region = (): Rect => {
    const { x, y } = element.getBoundingClientRect();
    return { x: x + element.clientLeft, y: y + element.clientTop, width: element.clientWidth, height: element.clientHeight }; // prettier-ignore
  };
  return { element, region };
}

/** What stays where it is while the page scrolls is read once. */
class Hidden {
  readonly #shown: (() => void)[] = [];

  /** Hides what was seen whole. */
  add(region: Rect): void {
    for (const element of document.querySelectorAll<HTMLElement>("body *")) {
      if (!(element instanceof HTMLElement) || !/fixed|sticky/.test(getComputedStyle(element).position)) continue;
      const { y, bottom, height } = element.getBoundingClientRect();
      if (height === 0 || y < region.y || bottom > region.y + region.height) continue;
      const { style } = element;
      const before = ["visibility", "transition"].map((name) => [name, style.getPropertyValue(name), style.getPropertyPriority(name)] as const); // prettier-ignore
      style.setProperty("transition", "none", "important");
      style.setProperty("visibility", "hidden", "important");
      this.#shown.push(() => before.forEach(([name, value, priority]) => style.setProperty(name, value, priority)));
    }
  }

  show(): void {
    for (const show of this.#shown.splice(0).reverse()) show();
  }
}
