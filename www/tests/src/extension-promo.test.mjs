// The pictures that the script makes for the stores are what the stores take.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { promo, SIZES } from "./extension-promo.mjs";
import { jpegSize } from "./samples.mjs";

const scratch = mkdtempSync(join(tmpdir(), "maoocr-promo-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

test("pictures for the stores", async () => {
  await promo(scratch, ["en"]);
  for (const [name, [width, height]] of Object.entries(SIZES)) {
    assert.deepEqual(jpegSize(readFileSync(join(scratch, "en", `${name}.jpg`))), { height, width }, name);
  }
});
