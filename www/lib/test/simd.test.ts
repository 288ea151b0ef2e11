import { expect, test } from "vitest";

import { withoutOtherModule } from "../src/simd.js";

const APP = ["index.html", "assets/worker-b1.js", "assets/maoocr_documents_bg-c1.wasm"];
const PLAIN = ["assets/maoocr-a1.js", "assets/maoocr_bg-a2.js", "assets/maoocr_bg-a3.wasm"];
const RELAXED = ["assets/maoocr_relaxed-d1.js", "assets/maoocr_relaxed_bg-d2.wasm"];

test("an app keeps the module that its browser takes, which may be the only one", () => {
  const kept = (files: string[], relaxed: boolean) => withoutOtherModule(files, (file) => file, relaxed);
  expect(kept([...APP, ...PLAIN, ...RELAXED], true)).toEqual([...APP, ...RELAXED]);
  expect(kept([...APP, ...PLAIN, ...RELAXED], false)).toEqual([...APP, ...PLAIN]);
  expect(kept([...APP, ...PLAIN], true)).toEqual([...APP, ...PLAIN]);
});
