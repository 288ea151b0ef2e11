// Lines over a moving picture: what a frame's reading says is matched with what was there before, so that boxes stay in
// place and their text doesn't flicker.

import type { Line, Quad } from "./types.ts";

export interface Seen extends Pick<Line, "box" | "text" | "confidence"> {
  /** CSS colours of what it stands on and of its letters. */
  paper?: string;
  ink?: string;
}

export interface Track extends Seen {
  id: number;
  /** Readings it was seen in. */
  seen: number;
  /** Readings in a row that it was missing from. */
  missed: number;
}

interface Candidate {
  track: Track;
  /** Confidence each text has gathered. */
  votes: Map<string, number>;
}

/** Boxes that overlap this much, intersection over union, are the same line. */
const SAME = 0.3;
/** Share of a new reading in a box's place: the rest is where it was. */
const PULL = 0.5;
/** A box that jumped further than this share of its height isn't smoothed: it moved. */
const JUMP = 0.6;
/** Readings in a row that a line may be missing from. */
const PATIENCE = 1;
/** What older votes keep with every reading. */
const FADE = 0.8;

/** Boxes are places in the scene, not in a frame: what follows the scene says where they are in one. */
export class Tracks {
  #candidates: Candidate[] = [];
  #next = 1;

  get all(): Track[] {
    return this.#candidates.map(({ track }) => track);
  }

  clear(): void {
    this.#candidates = [];
  }

  /** What was read in a frame; `inView` says whether a line that wasn't should have been. */
  update(lines: Seen[], inView: (box: Quad) => boolean = () => true): Track[] {
    const left = new Set(this.#candidates);
    const next: Candidate[] = [];
    for (const line of lines) {
      const known = best(left, line.box);
      if (known) left.delete(known);
      next.push(known ? this.#again(known, line) : this.#first(line));
    }
    for (const candidate of left) {
      // One beside the view comes back with it.
      if (inView(candidate.track.box)) candidate.track.missed += 1;
      if (candidate.track.missed <= PATIENCE) next.push(candidate);
    }
    this.#candidates = next;
    return this.all;
  }

  #first({ box, text, confidence, ...look }: Seen): Candidate {
    const track = { id: this.#next++, box, text, confidence, ...look, seen: 1, missed: 0 };
    return { track, votes: new Map([[text, confidence]]) };
  }

  #again(candidate: Candidate, { box, text, confidence, ...look }: Seen): Candidate {
    const { track, votes } = candidate;
    for (const [other, weight] of votes) votes.set(other, weight * FADE);
    votes.set(text, (votes.get(text) ?? 0) + confidence);
    const [winner] = [...votes].reduce((a, b) => (b[1] > a[1] ? b : a));
    if (winner === text) track.confidence = confidence;
    track.text = winner;
    track.box = smoothed(track.box, box);
    Object.assign(track, look);
    track.seen += 1;
    track.missed = 0;
    return candidate;
  }
}

function best(candidates: Set<Candidate>, box: Quad): Candidate | null {
  let found: Candidate | null = null;
  let most = SAME;
  for (const candidate of candidates) {
    const overlap = iou(candidate.track.box, box);
    if (overlap > most) [found, most] = [candidate, overlap];
  }
  return found;
}

function smoothed(before: Quad, after: Quad): Quad {
  const [a, , , d] = after;
  const height = Math.hypot(a[0] - d[0], a[1] - d[1]);
  const jumps = before.some(([x, y], i) => Math.hypot(x - at(after, i)[0], y - at(after, i)[1]) > JUMP * height);
  if (jumps) return after;
  return before.map(([x, y], i) => [x + PULL * (at(after, i)[0] - x), y + PULL * (at(after, i)[1] - y)]) as Quad;
}

function at(box: Quad, corner: number): readonly [number, number] {
  return box[corner] ?? box[0];
}

/** Left, top, right, bottom. */
export function bounds(box: Quad): [number, number, number, number] {
  const xs = box.map(([x]) => x);
  const ys = box.map(([, y]) => y);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/** Of the upright rectangles around them. */
export function iou(one: Quad, other: Quad): number {
  const [a, b] = [bounds(one), bounds(other)];
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (width <= 0 || height <= 0) return 0;
  const area = ([x0, y0, x1, y1]: [number, number, number, number]) => (x1 - x0) * (y1 - y0);
  return (width * height) / (area(a) + area(b) - width * height);
}
