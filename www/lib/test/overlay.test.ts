import { expect, test } from "vitest";

import { placed } from "../src/overlay.ts";
import type { Line, Quad } from "../src/types.ts";

const box = (width: number, height: number): Quad => [[10, 20], [10 + width, 20], [10 + width, 20 + height], [10, 20 + height]]; // prettier-ignore

function line(height: number, vertical = false): Line {
  const quad = vertical ? box(height, 300) : box(300, height);
  return { box: quad, text: "a", confidence: 1, vertical, words: [{ box: quad, text: "a", confidence: 1 }] } as unknown as Line; // prettier-ignore
}

test.each([false, true])(
  "words of any height are set in a few sizes, none far from its own (vertical: %s)",
  (vertical) => {
    // There is no canvas to measure with.
    globalThis.document = { createElement: () => ({ getContext: () => null }) } as unknown as Document;
    const sizes = new Set<number>();
    for (let height = 8; height < 400; height += 0.7) {
      const [word] = placed(line(height, vertical));
      expect((word?.size ?? 0) / height).toBeGreaterThan(0.8);
      expect((word?.size ?? 0) / height).toBeLessThan(1.25);
      sizes.add(word?.size ?? 0);
    }
    expect(sizes.size).toBeLessThan(25);
  },
);
