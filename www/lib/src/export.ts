// Documents as files.

import type { Document } from "./types.ts";

export type Format = "txt" | "md" | "json";

export const FORMATS: Record<Format, { type: string; make: (pages: Document[], title: string) => string }> = {
  txt: { type: "text/plain", make: toText },
  md: { type: "text/markdown", make: toMarkdown },
  json: { type: "application/json", make: toJson },
};

/** Pages are parted by a form feed, as in a text file for printing. */
export function toText(pages: Document[]): string {
  return pages.map((page) => `${page.text.trimEnd()}\n`).join("\f");
}

/** Paragraphs, which an empty line parts in a document's text, with their line breaks; pages parted by a rule. */
export function toMarkdown(pages: Document[], title: string): string {
  const bodies = pages.map(({ text }) =>
    text
      .trim()
      .split(/\n{2,}/)
      .map(paragraph)
      .join("\n\n"),
  );
  return `# ${escaped(title)}\n\n${bodies.join("\n\n---\n\n")}\n`;
}

/** The answer as the engine gave it: an object, or an array of them for several pages. */
export function toJson(pages: Document[]): string {
  return `${JSON.stringify(pages.length === 1 ? pages[0] : pages, null, 2)}\n`;
}

/** A backslash at a line's end keeps its break. */
function paragraph(text: string): string {
  return text.split("\n").map(escaped).join("\\\n");
}

/** So that nothing read from a picture is taken for markup. */
function escaped(text: string): string {
  return text
    .replace(/[\\`*_[\]<>~|]/g, "\\$&")
    .replace(/^(\s*)([#+-])(?=\s|$)/, "$1\\$2")
    .replace(/^(\s*\d+)([.)])(?=\s|$)/, "$1\\$2");
}

/** A file name that every system takes, without extension. */
export function fileStem(name: string): string {
  const stem = name
    .replace(/\.[a-z0-9]{1,5}$/i, "")
    // eslint-disable-next-line no-control-regex -- they are what is removed
    .replace(/[\u0000-\u001f<>:"/\\|?*]+/g, "-")
    .trim()
    .slice(0, 80)
    .replace(/[. ]+$/, "");
  return stem || "maoocr";
}

/** Names in a zip must differ: the second `scan` is `scan (2)`. */
export function uniqueNames(names: string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    let unique = name;
    for (let n = 2; taken.has(unique.toLowerCase()); n++) unique = `${name} (${n})`;
    taken.add(unique.toLowerCase());
    return unique;
  });
}
