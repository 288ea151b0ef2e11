// From a picture or a part of the page to its text.

import type { Source, Rect } from "../messages.ts";
import type { Settings } from "../settings.ts";
import { drawn, openHost } from "./host.ts";
import { Overlay } from "./overlay.ts";
import { Panel } from "./panel.ts";
import { inTab, pictureRect, pictureWithin, pixelsOf, shown, visible } from "./pictures.ts";
import { Failure, read } from "./port.ts";
import { coversOf, largest, uncovered } from "./seen.ts";

/** Text laid over a picture, where it is. */
export async function readPicture(element: Element, settings: Settings): Promise<void> {
  const host = openHost(settings.theme);
  const pixels = await pixelsOf(element);
  if (pixels) {
    const overlay = new Overlay(host, () => pictureRect(element), element);
    overlay.busy();
    await tell(overlay, read({ pixels: pixels.address }, host.closed, overlay));
    return;
  }
  // Another site's, a background, a video with rights: what the tab shows of it.
  const { height } = element.getBoundingClientRect();
  if (shown(element).height < Math.min(height, innerHeight)) {
    element.scrollIntoView({ block: height > innerHeight ? "start" : "nearest", behavior: "instant" });
  }
  await drawn();
  const whole = element.getBoundingClientRect();
  const part = seen(element, host.element);
  const offset = { x: part.x - whole.x, y: part.y - whole.y };
  const place = (): Rect => {
    const now = element.getBoundingClientRect();
    return { x: now.x + offset.x, y: now.y + offset.y, width: part.width, height: part.height };
  };
  const overlay = new Overlay(host, place, element);
  const source = inTab(part);
  if (!source) return overlay.fail(new Failure("unreadable", "another site's frame"));
  await tell(overlay, read(source, host.closed, overlay));
}

/** The text of a rectangle of the viewport, in a panel beside it. */
export async function readPart(rect: Rect, settings: Settings): Promise<void> {
  const host = openHost(settings.theme);
  const panel = new Panel(host, rect, settings);
  const picture = pictureWithin(visible(rect), host.element);
  const pixels = picture && (await pixelsOf(picture.element, picture.part));
  if (pixels) {
    panel.started();
    return tell(panel, read({ pixels: pixels.address }, host.closed, panel));
  }
  await drawn();
  const source: Source | null = inTab(visible(rect));
  if (!source) return panel.fail(new Failure("unreadable", "another site's frame"));
  await tell(panel, read(source, host.closed, panel));
}

/** What of it is seen, without what a header hides from side to side. */
function seen(element: Element, own: Element): Rect {
  const part = shown(element);
  const covers = [...coversOf(element, part, own)].map((cover) => cover.getBoundingClientRect());
  const free = largest(uncovered(part, covers));
  return free && free.width === part.width ? free : part;
}

/** Shows what comes of it. */
export async function tell(view: Overlay | Panel, reading: ReturnType<typeof read>): Promise<void> {
  try {
    view.show(await reading);
  } catch (thrown) {
    const failure = thrown instanceof Failure ? thrown : new Failure("internal", String(thrown));
    if (failure.code !== "cancelled") view.fail(failure);
  }
}
