import { afterEach, expect, test, vi } from "vitest";

import { help, helper } from "../src/helpers.ts";
import type { BestPath } from "../src/types.ts";

const BEST: BestPath = {
  batch: 1,
  steps: 1,
  classes: new Uint32Array([7]),
  probabilities: new Float32Array([1]),
  lastClass: new Float32Array([0]),
};

let ports: MessagePort[] = [];

function channel(): [MessagePort, MessagePort] {
  const { port1, port2 } = new MessageChannel();
  ports = [port1, port2];
  return [port1, port2];
}

afterEach(() => {
  for (const port of ports) port.close();
  vi.useRealTimers();
});

const input = () => new Float32Array([1, 2, 3]);

test("lines are asked for and read over a channel", async () => {
  const [here, there] = channel();
  const asked: unknown[] = [];
  help(there, async (...call) => {
    asked.push(call);
    return BEST;
  });
  const read = helper(here);
  await expect(Promise.all([read("rec", input(), [1, 3]), read("rec", input(), [1, 3])])).resolves.toEqual([
    BEST,
    BEST,
  ]);
  expect(asked).toEqual([
    ["rec", input(), [1, 3]],
    ["rec", input(), [1, 3]],
  ]);
});

test("a helper that fails says so", async () => {
  const [here, there] = channel();
  help(there, () => Promise.reject(new Error("no memory")));
  await expect(helper(here)("rec", input(), [1, 3])).rejects.toThrow("failed");
});

test("a helper that is silent is given up, and not asked again", async () => {
  vi.useFakeTimers();
  const [here] = channel();
  const read = helper(here);
  const silent = expect(read("rec", input(), [1, 3])).rejects.toThrow("silent");
  await vi.advanceTimersByTimeAsync(11_000);
  await silent;
  await expect(read("rec", input(), [1, 3])).rejects.toThrow("gone");
});
