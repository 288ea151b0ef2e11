/// <reference lib="webworker" />
// Draws pictures beside the page, one after another: a decoded photo takes 48 MB.

import { drawn, type Drawing, type Drawn } from "./state/drawing.ts";

declare const self: DedicatedWorkerGlobalScope;

export interface ToPictures {
  id: number;
  drawing: Drawing;
}

export type FromPictures = { id: number; made: Drawn[Drawing["kind"]] } | { id: number; failure: string };

let last: Promise<void> = Promise.resolve();

self.onmessage = ({ data: { id, drawing } }: MessageEvent<ToPictures>) => {
  last = last.then(async () => {
    try {
      const made = await drawn(drawing);
      self.postMessage({ id, made } satisfies FromPictures, "bitmap" in made ? [made.bitmap] : []);
    } catch (thrown) {
      self.postMessage({ id, failure: String(thrown) } satisfies FromPictures);
    }
  });
};
