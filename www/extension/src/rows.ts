// The text of a picture as elements that lie over it, to be selected as if they were the page's own.

import { blockStarts, placed, type Document } from "@maoocr/lib";

/** px of the picture; whoever puts them into a page scales them. */
export function textRows(read: Document): HTMLElement[] {
  const starts = blockStarts(read);
  return read.lines.flatMap((line, i) => {
    // A block of its own in the page's flow, so that what is copied has its line breaks.
    const row = document.createElement("div");
    row.className = "row";
    for (const word of placed(line)) {
      const span = document.createElement("span");
      span.className = word.vertical ? "word vertical" : "word";
      span.textContent = word.text.trimEnd();
      span.style.fontSize = `${word.size}px`;
      span.style.transform = word.transform;
      row.append(span);
      // What parts it from the next one is copied, but has no width of its own: it would lie on that one.
      const space = word.text.slice(word.text.trimEnd().length);
      if (space) row.append(space);
    }
    return starts.has(i) ? [document.createElement("br"), row] : [row];
  });
}

/** Of these elements. */
export const ROW_STYLES = `
.row { font-size: 0; white-space: pre; }
.word {
  position: absolute;
  left: 0;
  top: 0;
  transform-origin: 0 0;
  font-family: sans-serif;
  line-height: 1;
  white-space: pre;
  color: transparent;
  background: rgb(20 184 166 / 14%);
  border-radius: .12em;
  cursor: text;
  pointer-events: auto;
  user-select: text;
  -webkit-user-select: text;
}
.word.vertical { writing-mode: vertical-rl; text-orientation: upright; }
.word::selection { background: rgb(40 130 255 / 42%); color: transparent; }
`;
