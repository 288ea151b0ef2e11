// A layer over the page: a click chooses a picture, a drag a part of what is seen; the keyboard does both.

import type { Rect } from "../messages.ts";
import type { Settings } from "../settings.ts";
import { make, onKeys, openHost, swallow } from "./host.ts";
import { pictureAt, pictureRect, picturesInView } from "./pictures.ts";
import { clipOf, common } from "./seen.ts";
import { text } from "./words.ts";

/** Below, a drag is a click, px. */
const SLACK = 6;

export interface Choice {
  picture: (element: Element) => void;
  part: (rect: Rect) => void;
  theme: Settings["theme"];
}

export function pick({ picture, part, theme }: Choice): void {
  const host = openHost(theme);
  const hole = make("div", { class: "hole none" });
  const says = make("div", { class: "hint", role: "status" }, make("b", {}, text("pickHint")), make("span", {}, text("pickKeys"))); // prettier-ignore
  const layer = make("div", { class: "layer", tabindex: "-1", role: "application", "aria-label": text("pickHint") }, hole, says); // prettier-ignore
  host.root.append(layer);
  layer.focus({ preventScroll: true });

  let from: { x: number; y: number } | null = null;
  let chosen: Element | null = null;

  const frame = (rect: Rect | null): void => {
    hole.classList.toggle("none", rect === null);
    const { x, y, width, height } = rect ?? { x: innerWidth / 2, y: 0, width: 0, height: 0 };
    Object.assign(hole.style, { left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` });
  };
  const choose = (element: Element | null): void => {
    chosen = element;
    frame(element && common(pictureRect(element), clipOf(element)));
  };
  const dragged = ({ clientX, clientY }: PointerEvent): Rect | null => {
    if (!from) return null;
    const [width, height] = [Math.abs(clientX - from.x), Math.abs(clientY - from.y)];
    if (width < SLACK && height < SLACK) return null;
    return { x: Math.min(from.x, clientX), y: Math.min(from.y, clientY), width, height };
  };
  const finish = (work: () => void): void => {
    host.close();
    work();
  };

  layer.addEventListener("pointerdown", (event) => {
    swallow(event);
    if (event.button !== 0) return;
    from = { x: event.clientX, y: event.clientY };
    layer.setPointerCapture(event.pointerId);
  });
  layer.addEventListener("pointermove", (event) => {
    const rect = dragged(event);
    if (rect) frame(rect);
    else if (!from) choose(pictureAt(event.clientX, event.clientY, host.element));
  });
  layer.addEventListener("pointerup", (event) => {
    swallow(event);
    const rect = dragged(event);
    from = null;
    if (rect) return finish(() => part(rect));
    const element = pictureAt(event.clientX, event.clientY, host.element);
    if (element) finish(() => picture(element));
  });
  layer.addEventListener("pointercancel", () => {
    from = null;
    choose(null);
  });
  for (const name of ["click", "dblclick", "contextmenu", "mousedown", "mouseup"])
    layer.addEventListener(name, swallow);

  const step = (by: number): void => {
    const all = picturesInView();
    if (all.length === 0) return;
    const at = chosen ? all.indexOf(chosen) : by > 0 ? -1 : 0;
    choose(all[(at + by + all.length) % all.length] ?? null);
  };
  const keys: Record<string, (event: KeyboardEvent) => void> = {
    Tab: ({ shiftKey }) => step(shiftKey ? -1 : 1),
    ArrowDown: () => step(1),
    ArrowRight: () => step(1),
    ArrowUp: () => step(-1),
    ArrowLeft: () => step(-1),
    Enter: () => {
      const element = chosen;
      if (element) finish(() => picture(element));
      else finish(() => part({ x: 0, y: 0, width: innerWidth, height: innerHeight }));
    },
  };
  onKeys(host, keys);
}
