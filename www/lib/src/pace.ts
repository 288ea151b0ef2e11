// The pace of live reading: how large a frame is read and when the next one is, so that the picture stays lively and the
// device cool.

export interface Pace {
  /** Longest side of the frame to read, px. */
  side: number;
  /** Time to rest before the next one, ms. */
  rest: number;
}

/** px */
export const SMALLEST = 480;
/** px */
export const LARGEST = 960;
/** A reading should take about so long, ms. */
const TARGET = 500;
/** Rest after a reading, as a share of the time it took: two thirds of the time the processor works at most. */
const REST = 0.5;
/** px on a 96 px frame: what a hand trembles. */
const STILL = 0.4;
/** Time between readings of a scene that doesn't change, ms. */
const STILL_REST = 1500;

/** After a reading of a frame of `side` px that took `took` ms, with the picture moving by `speed` px a frame. */
export function pace(side: number, took: number, speed: number, unchanged: number): Pace {
  // Work grows with the area.
  const wanted = side * Math.sqrt(TARGET / Math.max(1, took));
  // Half way, so that one slow frame doesn't blur the next ones.
  const next = Math.min(LARGEST, Math.max(SMALLEST, (side + wanted) / 2));
  const settled = speed < STILL && unchanged >= 3;
  return { side: Math.round(next / 32) * 32, rest: settled ? STILL_REST : took * REST };
}
