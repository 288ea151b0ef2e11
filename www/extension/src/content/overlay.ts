// Text over a picture in the page, to be selected as if it were the page's own.

import type { Document } from "@maoocr/lib";

import type { Rect } from "../messages.ts";
import { textRows } from "../rows.ts";
import { button, copy, make, type Host } from "./host.ts";
import type { Failure, Listener } from "./port.ts";
import { counted, reason, text } from "./words.ts";

/** Of the bar from the picture's edge, px. */
const GAP = 6;

export class Overlay implements Listener {
  readonly #host: Host;
  readonly #place: () => Rect;
  readonly #element: Element;
  readonly #frame = make("div", { class: "frame" });
  readonly #says = make("span", { class: "says", role: "status" });
  readonly #bar = make("div", { class: "bar", role: "toolbar", "aria-label": "MaoOCR" }, this.#says);
  #box: HTMLElement | null = null;
  /** px of the picture that was read. */
  #size = { width: 1, height: 1 };
  #last = "";

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
      return;
    }
    this.#box = make("div", { class: "box" }, ...textRows(document));
    this.#host.root.append(this.#box);
    this.#says.hidden = true;
    const copyAll = button(text("copyAll"), () => void this.#copy(document.text, copyAll), { class: "main" });
    this.#bar.prepend(
      button(text("selectAll"), () => this.#selectAll()),
      copyAll,
    );
    this.#last = "";
    copyAll.focus({ preventScroll: true });
  }

  fail(failure: Failure): void {
    this.#attach();
    this.#frame.classList.remove("busy");
    this.#says.classList.add("wrong");
    this.#says.textContent = reason(failure);
  }

  async #copy(all: string, pressed: HTMLButtonElement): Promise<void> {
    pressed.textContent = (await copy(all, this.#host.root)) ? text("copied") : text("notCopied");
  }

  #selectAll(): void {
    if (this.#box) getSelection()?.selectAllChildren(this.#box);
  }

  #attach(): void {
    if (this.#frame.isConnected) return;
    this.#host.root.append(this.#frame, this.#bar);
    this.#follow();
  }

  /** Stays on the picture while the page is scrolled, resized, zoomed; goes with it. */
  #follow(): void {
    if (this.#host.closed.aborted) return;
    if (!this.#element.isConnected) return this.#host.close();
    const { x, y, width, height } = this.#place();
    const hidden = width === 0 || height === 0;
    for (const part of [this.#frame, this.#bar, this.#box]) part?.classList.toggle("unseen", hidden);
    const now = [x, y, width, height, innerWidth, innerHeight].join();
    if (now !== this.#last) {
      this.#last = now;
      Object.assign(this.#frame.style, { left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` });
      if (this.#box) {
        const scale = [width / this.#size.width, height / this.#size.height];
        this.#box.style.transform = `translate(${x}px, ${y}px) scale(${scale.join()})`;
      }
      const bar = this.#bar.getBoundingClientRect();
      const within = (at: number, size: number, room: number): number => Math.max(GAP, Math.min(at, room - size - GAP));
      const above = y - bar.height - GAP;
      const top = above >= GAP ? above : y + GAP;
      this.#bar.style.left = `${within(x + width - bar.width, bar.width, innerWidth)}px`;
      this.#bar.style.top = `${within(top, bar.height, innerHeight)}px`;
    }
    requestAnimationFrame(() => this.#follow());
  }
}
