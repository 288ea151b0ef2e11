// What runs in a page, from the moment the person asks for something until the page is left.

import type { Command } from "../messages.ts";
import { closeHost } from "./host.ts";
import { named } from "./pictures.ts";
import { pick } from "./picker.ts";
import { readPart, readPicture } from "./reading.ts";
import { readPage } from "./scrolling.ts";

/** In Firefox an element that was clicked has a number. */
interface Menus {
  getTargetElement?: (id: number) => Element | null;
}

function run(command: Command): void {
  const { settings } = command;
  if (command.action === "visible") {
    void readPart({ x: 0, y: 0, width: innerWidth, height: innerHeight }, settings);
    return;
  }
  if (command.action === "page") return void readPage(settings);
  if (command.action === "image") {
    const { menus } = (globalThis as { browser?: { menus?: Menus } }).browser ?? {};
    const clicked = command.element === null ? null : menus?.getTargetElement?.(command.element);
    const picture = clicked ?? named(command.address);
    if (picture) return void readPicture(picture, settings);
  }
  pick({
    picture: (element) => void readPicture(element, settings),
    part: (rect) => void readPart(rect, settings),
    theme: settings.theme,
  });
}

/** The script comes into the page with each command; what the one before it drew gives way. */
const world = globalThis as { maoocr?: { run: typeof run; end: () => void } };
world.maoocr?.end();
world.maoocr = { run, end: closeHost };
