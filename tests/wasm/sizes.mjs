// Sizes of files: as they are, and compressed. A web server's best is a few percent smaller, and takes half a minute for
// each.

import { readFileSync } from "node:fs";
import { brotliCompressSync, constants } from "node:zlib";

for (const file of process.argv.slice(2)) {
  const bytes = readFileSync(file);
  const brotli = brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 9,
      [constants.BROTLI_PARAM_LGWIN]: 24,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
  const kib = (n) => `${(n / 1024).toFixed(0)} KiB`.padStart(9);
  console.log(`${kib(bytes.length)}, brotli ${kib(brotli.length)}  ${file}`);
}
