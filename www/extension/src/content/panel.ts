// The text of a part of the screen, in a panel beside it.

import type { Document } from "@maoocr/lib";

import type { Rect } from "../messages.ts";
import type { Settings } from "../settings.ts";
import { button, copy, make, type Host } from "./host.ts";
import type { Failure, Listener } from "./port.ts";
import { counted, reason, text } from "./words.ts";

/** Between the panel and the rectangle or the window's edge, px. */
const GAP = 12;

export class Panel implements Listener {
  readonly #host: Host;
  readonly #rect: Rect;
  readonly #settings: Settings;
  readonly #says = make("span", { class: "says", role: "status" });
  readonly #progress = make("progress");
  /** Not to be edited, and not focused by itself: a page's scripts can write into what has the focus, and read it. */
  readonly #field = make("textarea", { "aria-label": text("text"), readonly: "", spellcheck: "false", dir: "auto" });
  readonly #copy = button(text("copy"), () => void this.#copied(), { class: "main" });
  #enough: HTMLButtonElement | null = null;
  readonly #note = make("p", { class: "note", hidden: "" });
  readonly #panel = make(
    "section",
    { class: "panel", role: "dialog", "aria-label": text("name") },
    make("header", {}, make("h2", {}, text("text"))),
    this.#progress,
    this.#field,
    this.#note,
    make("footer", {}, this.#says, this.#copy),
  );

  constructor(host: Host, rect: Rect, settings: Settings) {
    this.#host = host;
    this.#rect = rect;
    this.#settings = settings;
    const close = button("✕", host.close, { class: "close", "aria-label": text("close") });
    this.#panel.querySelector("header")?.append(close);
    for (const name of ["keydown", "keypress", "keyup", "pointerdown", "mousedown", "wheel", "copy", "paste"]) {
      // The page's own shortcuts aren't meant.
      this.#panel.addEventListener(name, (event) => event.stopPropagation());
    }
  }

  /** The pixels were taken: the panel is no part of them. */
  started(): void {
    this.#field.hidden = true;
    this.#copy.hidden = true;
    this.#says.textContent = text("reading");
    this.#attach();
  }

  lines(read: number, of: number): void {
    if (of > 0) Object.assign(this.#progress, { max: of, value: read });
    this.#says.textContent = counted(read, of);
  }

  show(document: Document): void {
    this.#progress.hidden = true;
    this.#enough?.remove();
    if (!document.text) {
      this.#says.textContent = text("nothing");
      this.#attach();
      return;
    }
    this.#says.textContent = "";
    this.#field.hidden = this.#copy.hidden = false;
    this.#field.value = document.text;
    this.#attach();
    this.#copy.focus({ preventScroll: true });
    if (this.#settings.copy) void this.#copied();
  }

  /** Of something that is scrolled: so many screens are read of so many. `enough` is pressed by who wants no more. */
  scrolled(read: number, of: number, enough: () => void): void {
    Object.assign(this.#progress, { max: of, value: read });
    this.#says.textContent = text("readingScreens", read + 1, of);
    this.#field.hidden = this.#copy.hidden = true;
    if (!this.#enough) {
      this.#enough = button(text("enough"), enough);
      this.#panel.querySelector("footer")?.append(this.#enough);
    }
    this.#attach();
    if (read === 0) this.#enough.focus({ preventScroll: true });
  }

  /** What there is to be said of the text that will come. */
  note(words: string): void {
    this.#note.textContent = words;
    this.#note.hidden = false;
  }

  /** While the page is looked at, it isn't seen; it keeps the focus. */
  unseen(yes: boolean): void {
    this.#panel.classList.toggle("unseen", yes);
  }

  fail({ code }: Failure): void {
    this.#progress.hidden = this.#field.hidden = this.#copy.hidden = true;
    this.#enough?.remove();
    this.#says.classList.add("wrong");
    this.#says.textContent = reason(code);
    this.#attach();
  }

  async #copied(): Promise<void> {
    const done = await copy(this.#field.value);
    this.#says.textContent = done ? text("copied") : text("notCopied");
  }

  /** Below the rectangle, or above it, or beside it, or over it: where there is room. */
  #attach(): void {
    if (!this.#panel.isConnected) this.#host.root.append(this.#panel);
    const { width, height } = this.#panel.getBoundingClientRect();
    const room = this.#host.room();
    const { x, y, width: wide, height: high } = this.#rect;
    const fits = (left: number, top: number): boolean =>
      left >= GAP && top >= GAP && left + width <= room.width - GAP && top + height <= room.height - GAP;
    const within = (at: number, size: number, of: number): number => Math.max(GAP, Math.min(at, of - size - GAP));
    const [along, down] = [within(x, width, room.width), within(y, height, room.height)];
    const places: [number, number][] = [
      [along, y + high + GAP],
      [along, y - height - GAP],
      [x + wide + GAP, down],
      [x - width - GAP, down],
    ];
    const [left, top] = places.find((place) => fits(...place)) ?? [
      room.width - width - GAP,
      room.height - height - GAP,
    ];
    Object.assign(this.#panel.style, { left: `${Math.max(GAP, left)}px`, top: `${Math.max(GAP, top)}px` });
  }
}
