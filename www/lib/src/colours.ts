// What a text looks like in a picture: the colour it stands on and the colour of its letters.

import { applied, ontoQuad } from "./homography.ts";
import type { Frame, Quad } from "./types.ts";

export interface Colours {
  /** CSS colours. */
  paper: string;
  ink: string;
}

/** Places looked at along and across a line. */
const ALONG = 48;
const ACROSS = 10;
/** Contrast (WCAG 2) below which letters can't be told from what they stand on. */
const READABLE = 3;

type Rgb = readonly [number, number, number];

/** Of the two groups that Otsu's threshold parts the brightness into (Otsu, 1979), the larger one is the paper. Blurred
 * print is paler than its ink: where the contrast is too little the ink is black or white. */
export function coloursOf({ data, width, height }: Frame, box: Quad): Colours {
  const place = ontoQuad(ALONG, ACROSS, box);
  const seen: { rgb: Rgb; luma: number }[] = [];
  for (let j = 0; j < ACROSS; j++) {
    for (let i = 0; i < ALONG; i++) {
      const [x, y] = applied(place, [i + 0.5, j + 0.5]).map(Math.floor) as [number, number];
      if (x < 0 || y < 0 || x >= width || y >= height) continue;
      const at = 4 * (y * width + x);
      const rgb: Rgb = [data[at] ?? 0, data[at + 1] ?? 0, data[at + 2] ?? 0];
      seen.push({ rgb, luma: Math.round(0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]) });
    }
  }
  if (seen.length === 0) return { paper: "rgb(255 255 255)", ink: "rgb(0 0 0)" };
  const threshold = otsu(seen.map(({ luma }) => luma));
  const groups = [seen.filter(({ luma }) => luma <= threshold), seen.filter(({ luma }) => luma > threshold)];
  const [ink, paper] = groups.sort((a, b) => a.length - b.length).map((group) => middle(group.map(({ rgb }) => rgb)));
  const on: Rgb = paper ?? [255, 255, 255];
  const clear = ink !== undefined && contrast(ink, on) >= READABLE;
  const plain: Rgb = contrast([0, 0, 0], on) > contrast([255, 255, 255], on) ? [0, 0, 0] : [255, 255, 255];
  return { paper: css(on), ink: css(clear ? ink : plain) };
}

function otsu(values: number[]): number {
  const counts = new Array<number>(256).fill(0);
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  const total = values.reduce((sum, value) => sum + value, 0);
  let [below, sum, best, threshold] = [0, 0, -1, 127];
  for (let level = 0; level < 256; level++) {
    below += counts[level] ?? 0;
    sum += level * (counts[level] ?? 0);
    const above = values.length - below;
    if (below === 0 || above === 0) continue;
    const between = below * above * (sum / below - (total - sum) / above) ** 2;
    if (between > best) [best, threshold] = [between, level];
  }
  return threshold;
}

/** The median of each channel: edges between letters and paper don't count. */
function middle(colours: Rgb[]): Rgb | undefined {
  if (colours.length === 0) return undefined;
  const channel = (n: 0 | 1 | 2) => colours.map((rgb) => rgb[n]).sort((a, b) => a - b)[colours.length >> 1] ?? 0;
  return [channel(0), channel(1), channel(2)];
}

function luminance(rgb: Rgb): number {
  const [r, g, b] = rgb.map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as unknown as Rgb;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one: Rgb, other: Rgb): number {
  const [a, b] = [luminance(one), luminance(other)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

function css([r, g, b]: Rgb): string {
  return `rgb(${r} ${g} ${b})`;
}
