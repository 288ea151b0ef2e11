// What fingers, mice and wheels do to a picture: moving, pinching and wheels are recognised by @use-gesture.

import { Gesture } from "@use-gesture/vanilla";

export interface Handlers {
  /** px since the last call. */
  move: (dx: number, dy: number) => void;
  /** Around a place in client coordinates. */
  zoom: (factor: number, x: number, y: number) => void;
  /** A tap or a click. */
  tap: (x: number, y: number, pointerType: string) => void;
  /** A finger was held without moving. */
  hold: (x: number, y: number) => void;
  /** Whether a drag that begins there is left to the browser: it selects text. */
  leave: (event: PointerEvent) => boolean;
}

/** A finger that stays for so long means the word under it, ms. */
const HOLD = 450;
/** px a finger trembles. */
const TREMBLE = 8;

/** Listens until the function it returns is called. */
export function gestures(node: HTMLElement, { move, zoom, tap, hold, leave }: Handlers): () => void {
  const listening = new AbortController();
  const { signal } = listening;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let start = { x: 0, y: 0, type: "mouse" };
  /** The click that follows is of a finger that was held, or of a drag. */
  let over = false;
  const still = () => clearTimeout(timer);

  node.addEventListener(
    "pointerdown",
    (event) => {
      const { clientX: x, clientY: y, pointerType: type, isPrimary } = event;
      still();
      if (!isPrimary) {
        over = true;
        return;
      }
      [start, over] = [{ x, y, type }, false];
      if (type === "mouse") return;
      timer = setTimeout(() => {
        over = true;
        hold(x, y);
      }, HOLD);
    },
    { signal },
  );
  node.addEventListener(
    "pointermove",
    ({ clientX, clientY, buttons }) => {
      if (buttons === 0 || Math.hypot(clientX - start.x, clientY - start.y) <= TREMBLE) return;
      over = true;
      still();
    },
    { signal },
  );
  for (const end of ["pointerup", "pointercancel"] as const) node.addEventListener(end, still, { signal });
  node.addEventListener("click", ({ clientX, clientY }) => over || tap(clientX, clientY, start.type), { signal });
  // Where a finger is held some browsers would show a menu.
  node.addEventListener("contextmenu", (event) => start.type !== "mouse" && event.preventDefault(), { signal });

  const gesture = new Gesture(
    node,
    {
      onDrag: ({ delta: [dx, dy], first, event, cancel, pinching }) => {
        if (pinching || (first && leave(event as PointerEvent))) cancel();
        else if (over || start.type === "mouse") move(dx, dy);
      },
      onPinch: ({ offset: [scale], origin: [x, y], delta: [change], first, event }) => {
        still();
        // A wheel with Ctrl, or a touchpad: heard below as a wheel.
        if (!first && event.type !== "wheel") zoom(scale / (scale - change || 1), x, y);
      },
      onWheel: ({ event }) => {
        event.preventDefault();
        const { deltaX, deltaY, ctrlKey, shiftKey, clientX, clientY, deltaMode } = event;
        // Lines or pages, as Firefox tells them.
        const unit = deltaMode === 1 ? 16 : deltaMode === 2 ? 400 : 1;
        if (ctrlKey) zoom(Math.exp(-deltaY * unit * 0.01), clientX, clientY);
        else if (shiftKey && deltaX === 0) move(-deltaY * unit, 0);
        else if (Math.abs(deltaX) > Math.abs(deltaY)) move(-deltaX * unit, 0);
        else zoom(Math.exp(-deltaY * unit * 0.0016), clientX, clientY);
      },
    },
    { drag: { pointer: { buttons: [1], keys: false } }, eventOptions: { passive: false } },
  );
  return () => {
    still();
    listening.abort();
    gesture.destroy();
  };
}
