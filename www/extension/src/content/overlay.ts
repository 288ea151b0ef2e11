// Text over a picture in the page, to be selected as if it were the page's own.

import type { Document } from "@maoocr/lib";

import type { Rect } from "../messages.ts";
import { textRows } from "../rows.ts";
import { button, copy, make, type Host } from "./host.ts";
import type { Failure, Listener } from "./port.ts";
import { area, clipOf, common, coversOf, largest, uncovered } from "./seen.ts";
import { counted, reason, text } from "./words.ts";

/** Of the bar from the picture's edge, px. */
const GAP = 6;
/** What covers a picture that stays in its place is looked for each so many frames. */
const LOOK = 15;

export class Overlay implements Listener {
  readonly #host: Host;
  readonly #place: () => Rect;
  readonly #element: Element;
  readonly #frame = make("div", { class: "frame" });
  readonly #stage = make("div", { class: "stage" }, this.#frame);
  readonly #says = make("span", { class: "says", role: "status" });
  readonly #bar = make("div", { class: "bar", role: "toolbar", "aria-label": "MaoOCR" }, this.#says);
  #box: HTMLElement | null = null;
  /** px of the picture that was read. */
  #size = { width: 1, height: 1 };
  #last = "";
  #frames = 0;
  #covers = new Set<Element>();
  #through: Set<Element> | null = null;

  /** `place` says where the picture is now. */
  constructor(host: Host, place: () => Rect, element: Element) {
    this.#host = host;
    this.#place = place;
    this.#element = element;
    this.#bar.append(button("✕", host.close, { class: "close", "aria-label": text("close") }));
    // Another picture in its place says something else.
    if (element instanceof HTMLImageElement) element.addEventListener("load", host.close, { signal: host.closed });
  }

  busy(): void {
    this.#frame.classList.add("busy");
    this.#says.textContent = text("reading");
    this.#attach();
  }

  started(): void {
    this.busy();
  }

  lines(read: number, of: number): void {
    this.#says.textContent = counted(read, of);
  }

  show(document: Document): void {
    this.#attach();
    this.#frame.classList.remove("busy");
    this.#size = document;
    if (!document.text) {
      this.#says.textContent = text("nothing");
      this.#last = "";
      return;
    }
    this.#box = make("div", { class: "box" }, ...textRows(document));
    this.#stage.append(this.#box);
    this.#says.hidden = true;
    const copyAll = button(text("copyAll"), () => void this.#copy(document.text, copyAll), { class: "main" });
    this.#bar.prepend(
      button(text("selectAll"), () => this.#selectAll()),
      copyAll,
    );
    this.#last = "";
    copyAll.focus({ preventScroll: true });
  }

  fail({ code }: Failure): void {
    this.#attach();
    this.#frame.classList.remove("busy");
    this.#says.classList.add("wrong");
    this.#says.textContent = reason(code);
    this.#last = "";
  }

  async #copy(all: string, pressed: HTMLButtonElement): Promise<void> {
    pressed.textContent = (await copy(all)) ? text("copied") : text("notCopied");
  }

  #selectAll(): void {
    if (this.#box) getSelection()?.selectAllChildren(this.#box);
  }

  #attach(): void {
    if (this.#stage.isConnected) return;
    this.#host.root.append(this.#stage, this.#bar);
    this.#follow();
  }

  /** Stays on the picture while the page is scrolled, resized, zoomed; goes with it. */
  #follow(): void {
    if (this.#host.closed.aborted) return;
    if (!this.#element.isConnected) return this.#host.close();
    this.#host.fit();
    const rect = this.#place();
    const clip = clipOf(this.#element);
    const moved = JSON.stringify([rect, clip, this.#host.room()]);
    if (moved !== this.#last || ++this.#frames % LOOK === 0) {
      this.#cover(common(rect, clip));
      const { x, y, width, height } = rect;
      Object.assign(this.#frame.style, { left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` });
      if (this.#box) {
        const scale = [width / this.#size.width, height / this.#size.height];
        this.#box.style.transform = `translate(${x}px, ${y}px) scale(${scale.join()})`;
      }
      const covers = [...this.#covers].map((cover) => cover.getBoundingClientRect());
      const shown = uncovered(clip, covers);
      const path = shown.map((part) => `M${part.x} ${part.y}h${part.width}v${part.height}h${-part.width}z`).join("");
      const free = shown.length === 1 && area(clip) >= innerWidth * innerHeight;
      this.#stage.style.clipPath = free ? "none" : `path("${path || "M0 0z"}")`;
      const seen = largest(shown.map((part) => common(part, rect)));
      const hidden = !seen || area(seen) === 0;
      for (const part of [this.#stage, this.#bar]) part.classList.toggle("unseen", hidden);
      if (seen && !hidden) this.#placeBar(rect, seen, covers);
      this.#last = moved;
    }
    requestAnimationFrame(() => this.#follow());
  }

  /** What hid the whole picture when it was chosen is seen through. */
  #cover(seen: Rect): void {
    this.#covers = coversOf(this.#element, seen, this.#host.element);
    this.#through ??= new Set([...this.#covers].filter((cover) => uncovered(seen, [cover.getBoundingClientRect()]).length === 0)); // prettier-ignore
    for (const cover of this.#through) this.#covers.delete(cover);
  }

  /** Above the picture where that is free, else within what is seen of it. */
  #placeBar(rect: Rect, seen: Rect, covers: Rect[]): void {
    const { width, height } = this.#bar.getBoundingClientRect();
    const room = this.#host.room();
    const within = (at: number, size: number, of: number): number => Math.max(GAP, Math.min(at, of - size - GAP));
    const left = within(seen.x + seen.width - width, width, room.width);
    const above = { x: left, y: seen.y - height - GAP, width, height };
    const free = above.y >= GAP && seen.y <= rect.y + 1 && covers.every((cover) => area(common(above, cover)) === 0);
    this.#bar.style.left = `${left}px`;
    this.#bar.style.top = `${within(free ? above.y : seen.y + GAP, height, room.height)}px`;
  }
}
