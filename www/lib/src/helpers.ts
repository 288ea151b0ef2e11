// Lines that one worker asks of another, over a channel between the two.

import type { LinesAsked, LinesRead } from "./protocol.ts";
import type { BestPath } from "./types.ts";

export type ReadLines = (recogniser: string, input: Float32Array, shape: number[]) => Promise<BestPath>;

/** A helper that doesn't answer for so long is gone; what it was asked for is done here, ms. */
const PATIENCE = 10_000;

/** A function that has the worker at the other end read lines. */
export function helper(port: MessagePort): ReadLines {
  const waiting = new Map<number, { resolve: (best: BestPath) => void; reject: (error: Error) => void }>();
  let next = 1;
  let gone = false;
  port.onmessage = ({ data: { id, best } }: MessageEvent<LinesRead>) => {
    if (best) waiting.get(id)?.resolve(best);
    else waiting.get(id)?.reject(new Error("the helper failed"));
  };
  return (recogniser, input, shape) => {
    if (gone) return Promise.reject(new Error("the helper is gone"));
    const id = next++;
    return new Promise<BestPath>((resolve, reject) => {
      const timer = setTimeout(() => {
        gone = true;
        waiting.get(id)?.reject(new Error("the helper is silent"));
      }, PATIENCE);
      const asked: LinesAsked = { id, recogniser, input: input as Float32Array<ArrayBuffer>, shape };
      port.postMessage(asked, [asked.input.buffer]);
      const settled = () => {
        clearTimeout(timer);
        waiting.delete(id);
      };
      waiting.set(id, {
        resolve: (best) => {
          settled();
          resolve(best);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      });
    });
  };
}

/** Reads what comes through the port. */
export function help(port: MessagePort, readLines: ReadLines): void {
  port.onmessage = async ({ data: { id, recogniser, input, shape } }: MessageEvent<LinesAsked>) => {
    const best = await readLines(recogniser, input, shape).catch(() => null);
    const read: LinesRead = { id, best };
    port.postMessage(read);
  };
}
