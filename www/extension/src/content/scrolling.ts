// The text of a whole page: it is scrolled, and what is seen of it read, strip by strip.

import type { Document } from "@maoocr/lib";

import type { Rect } from "../messages.ts";
import type { Settings } from "../settings.ts";
import { elements } from "./dom.ts";
import { drawn, openHost, type Host } from "./host.ts";
import { Panel } from "./panel.ts";
import { inTab, shown, visible } from "./pictures.ts";
import { Failure, open, type Way } from "./port.ts";
import { readPart, tell } from "./reading.ts";
import { area, inside, windowRect } from "./seen.ts";
import { reason, text } from "./words.ts";

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
  element: HTMLElement;
  region: () => Rect;
  /** px of the viewport for one of its own: what is zoomed counts in its own. */
  zoom: () => number;
}

export async function readPage(settings: Settings): Promise<void> {
  const scroller = scrollerOf();
  const window = windowRect();
  if (!scroller) return readPart(window, settings);
  const host = openHost(settings.theme);
  const panel = new Panel(host, window, settings);
  await tell(panel, strips(scroller, host, panel));
}

async function strips(scroller: Scroller, host: Host, panel: Panel): Promise<Document> {
  const { element } = scroller;
  const start = { left: element.scrollLeft, top: element.scrollTop };
  const hidden = new Changed();
  const snaps = new Changed();
  // A page that goes on to its next section by itself would leave parts out.
  snaps.set(element, { "scroll-snap-type": "none" });
  const way = await open(host.closed);
  let enough = false;
  try {
    let before = -Infinity;
    for (let n = 0, top = 0; !enough; n++) {
      if (n === MOST) {
        panel.note(text("pageEndless", MOST));
        break;
      }
      panel.scrolled(n, n + left(scroller, top), () => (enough = true));
      let read: Awaited<ReturnType<typeof strip>>;
      try {
        read = await strip(scroller, way, panel, top, before);
      } catch (thrown) {
        if (n === 0 || host.closed.aborted) throw thrown;
        // What was read is worth having.
        panel.note(text("pageBroken", reason(thrown instanceof Failure ? thrown.code : "internal")));
        break;
      }
      if (!read) {
        panel.note(text("pageStuck"));
        break;
      }
      const { at, height } = read;
      if (at + height >= element.scrollHeight * scroller.zoom() - SLACK) break;
      hideStuck(scroller.region(), hidden);
      before = at;
      top = at + Math.max(1, Math.floor(height * (1 - OVERLAP)));
    }
    panel.unseen(false);
    const told = await way.ask({ finish: true });
    if (!("document" in told)) throw new Failure("internal", "no text");
    return told.document;
  } finally {
    way.close();
    hidden.undo();
    panel.unseen(false);
    element.scrollTo({ ...start, behavior: "instant" });
    snaps.undo();
  }
}

/** How many strips there are from here on, if the page doesn't grow. */
function left({ element, region, zoom }: Scroller, top: number): number {
  const { height } = region();
  return Math.max(1, Math.ceil((element.scrollHeight * zoom() - top - height) / (height * (1 - OVERLAP))) + 1);
}

/** Has what is to be seen there read; null where the page doesn't go farther than to `before`. */
async function strip(
  { element, region, zoom }: Scroller,
  way: Way,
  panel: Panel,
  top: number,
  before: number,
): Promise<{ at: number; height: number } | null> {
  for (let tried = 1; ; tried++) {
    panel.unseen(true);
    element.scrollTo({ top: top / zoom(), behavior: "instant" });
    await settled(region());
    const at = element.scrollTop * zoom();
    if (at <= before + SLACK) {
      if (tried < TRIES) continue;
      return null;
    }
    const part = visible(region());
    const source = inTab(part);
    if (!source) throw new Failure("unreadable", "another site's frame");
    let moved = false;
    const listener = {
      started: () => {
        moved = Math.abs(element.scrollTop * zoom() - at) > SLACK;
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
  if (
    page instanceof HTMLElement &&
    page.scrollHeight > innerHeight + SLACK &&
    getComputedStyle(page).overflowY !== "hidden"
  ) {
    return { element: page, region: windowRect, zoom: () => 1 };
  }
  const size = new Map<HTMLElement, number>();
  const scrolls = (element: Element): element is HTMLElement =>
    element instanceof HTMLElement &&
    element.scrollHeight > element.clientHeight + SLACK &&
    /auto|scroll/.test(getComputedStyle(element).overflowY);
  for (const element of elements(document.body).filter(scrolls)) size.set(element, area(shown(element)));
  const [[element, seen] = [null, 0]] = [...size].sort(([, a], [, b]) => b - a);
  // A small list in a corner isn't what a person means by the page.
  if (!element || seen < area(windowRect()) / 4) return null;
  const zoom = (): number => element.getBoundingClientRect().height / element.offsetHeight || 1;
  return { element, region: () => inside(element), zoom };
}

/** Styles that are changed for a while. */
class Changed {
  readonly #undo: (() => void)[] = [];

  set({ style }: HTMLElement, properties: Record<string, string>): void {
    for (const [name, value] of Object.entries(properties)) {
      const [before, priority] = [style.getPropertyValue(name), style.getPropertyPriority(name)];
      style.setProperty(name, value, "important");
      this.#undo.push(() => style.setProperty(name, before, priority));
    }
  }

  undo(): void {
    for (const undo of this.#undo.splice(0).reverse()) undo();
  }
}

/** What stays where it is while the page scrolls is read once: hides what was seen whole. */
function hideStuck(region: Rect, hidden: Changed): void {
  for (const element of elements(document.body)) {
    if (!(element instanceof HTMLElement) || !/fixed|sticky/.test(getComputedStyle(element).position)) continue;
    const { y, bottom, height } = element.getBoundingClientRect();
    if (height === 0 || y < region.y || bottom > region.y + region.height) continue;
    hidden.set(element, { transition: "none", visibility: "hidden" });
  }
}
