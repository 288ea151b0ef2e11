// A page that was read strip by strip, each of which shows the end of the one above it again: one document of them.

import { lineOffsets } from "./text.ts";
import { bounds } from "./tracks.ts";
import type { Block, Document, Line, Quad } from "./types.ts";

export interface Strip {
  /** Of its upper edge in the whole page, px of the picture. */
  top: number;
  document: Document;
}

/** From this share of the smaller one on, two boxes are of the same line. */
const SAME = 0.5;

type Box = [left: number, top: number, right: number, bottom: number];

/** A line in the whole page. */
interface Placed {
  line: Line;
  box: Box;
  /** What parts it from the line before it in its strip's text: white space, with line breaks between rows. */
  lead: string;
}

/** What a block becomes: its lines, in their order. */
interface Group {
  kind: string;
  lines: Placed[];
}

/** The whole page, from the uppermost strip on. Of a line that two strips show, the one is taken that lies farther from
 * where its strip was cut. What goes on in the next strip stays together: a column is read to its end. */
export function joined(strips: readonly Strip[]): Document {
  const [first, ...rest] = strips;
  if (!first) throw new RangeError("no strips");
  if (rest.length === 0) return first.document;
  const groups = groupsOf(first);
  let end = first.top + first.document.height;
  for (const strip of rest) {
    append(groups, strip, end);
    end = Math.max(end, strip.top + strip.document.height);
  }
  return documentOf(groups, strips, end - first.top, first.top);
}

function groupsOf({ top, document }: Strip): Group[] {
  const { blocks, lines } = document;
  const leads = leadsOf(document);
  const placed = lines.map((line, i) => moved(line, top, leads[i] ?? "\n"));
  const taken = new Set(blocks.flatMap((block) => block.lines));
  const alone = placed.filter((_, i) => !taken.has(i)).map((one) => ({ kind: "text", lines: [one] }));
  const whole = blocks.map(({ kind, lines: of }) => ({ kind, lines: of.flatMap((i) => placed[i] ?? []) }));
  return [...whole, ...alone];
}

function leadsOf(document: Document): string[] {
  const offsets = lineOffsets(document);
  let end = 0;
  return document.lines.map(({ text }, i) => {
    const at = offsets[i] ?? -1;
    const between = at < 0 || i === 0 ? "\n" : document.text.slice(end, at);
    if (at >= 0) end = at + text.length;
    return /^\s*$/.test(between) ? between : "\n";
  });
}

function moved(line: Line, by: number, lead: string): Placed {
  const down = (quad: Quad): Quad => quad.map(([x, y]) => [x, y + by]) as Quad;
  const box = down(line.box);
  const words = line.words.map((word) => ({ ...word, box: down(word.box) }));
  return { line: { ...line, box, words }, box: bounds(box) as Box, lead };
}

/** Adds a strip to what lies above it, the end of which is at `end`. */
function append(groups: Group[], strip: Strip, end: number): void {
  let at = groups.length;
  // New ones aren't compared with one another.
  const above = groups.slice();
  for (const group of groupsOf(strip)) {
    let into: Group | null = null;
    const fresh: Placed[] = [];
    for (const line of group.lines) {
      const twins = line.box[1] < end ? find(above, line) : [];
      const [twin] = twins;
      if (!twin) {
        fresh.push(line);
        continue;
      }
      into = twin.group;
      // Where its strip was cut, a line may be half of one.
      if (line.box[1] - strip.top <= end - Math.max(...twins.map((other) => other.line.box[3]))) continue;
      for (const other of twins) {
        const i = other.group.lines.indexOf(other.line);
        other.group.lines.splice(i, 1, ...(other === twin ? [line] : []));
      }
    }
    if (into) {
      into.lines.push(...fresh);
      at = groups.indexOf(into) + 1;
    } else if (fresh.length > 0) {
      groups.splice(at, 0, { kind: group.kind, lines: fresh });
      at += 1;
    }
  }
}

function find(groups: Group[], { box }: Placed): { group: Group; line: Placed }[] {
  return groups.flatMap((group) =>
    group.lines.filter((other) => same(other.box, box)).map((line) => ({ group, line })),
  );
}

function same(a: Box, b: Box): boolean {
  return shared(a, b, 0) >= SAME && shared(a, b, 1) >= SAME;
}

/** How much of the smaller one two boxes have in common, across (0) or down (1). */
function shared(a: Box, b: Box, along: 0 | 1): number {
  const [from, to] = [along, along + 2] as [0 | 1, 2 | 3];
  const shorter = Math.min(a[to] - a[from], b[to] - b[from]);
  return shorter > 0 ? (Math.min(a[to], b[to]) - Math.max(a[from], b[from])) / shorter : 0;
}

/** A group's text. Parts of one row stay on it, as long as both are there. */
function textOf(group: Group): string {
  return group.lines
    .map(({ line, box, lead }, i) => {
      const before = group.lines[i - 1];
      if (!before) return line.text;
      const row = lead.includes("\n") || shared(before.box, box, 1) >= SAME;
      return (row ? lead.replace(/\n[^]*\n/, "\n") : "\n") + line.text;
    })
    .join("");
}

function documentOf(groups: Group[], strips: readonly Strip[], height: number, top: number): Document {
  const [first] = strips as [Strip, ...Strip[]];
  const lines: Line[] = [];
  const filled = groups.filter((group) => group.lines.length > 0);
  const blocks: Block[] = filled.map(({ kind, lines: of }) => {
    const indices = of.map(({ line }) => lines.push(moved(line, -top, "").line) - 1);
    const boxes = of.map(({ box }) => box);
    const [left, right] = [Math.min(...boxes.map((b) => b[0])), Math.max(...boxes.map((b) => b[2]))];
    const [upper, lower] = [Math.min(...boxes.map((b) => b[1])) - top, Math.max(...boxes.map((b) => b[3])) - top];
    return { kind, box: [[left, upper], [right, upper], [right, lower], [left, lower]], lines: indices }; // prettier-ignore
  });
  const characters = lines.reduce((sum, { text }) => sum + text.length, 0);
  const sure = lines.reduce((sum, { text, confidence }) => sum + text.length * confidence, 0);
  const { dropped: _, ...document } = first.document;
  return {
    ...document,
    text: filled.map(textOf).join("\n\n"),
    confidence: characters > 0 ? sure / characters : 0,
    processing_time: strips.reduce((sum, strip) => sum + strip.document.processing_time, 0),
    height,
    lines,
    blocks,
  };
}
