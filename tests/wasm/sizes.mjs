// Sizes of files: as they are, and compressed as a web server would at its best; large ones a little less hard, which
// saves a minute.

import { readFileSync } from "node:fs";
import { brotliCompressSync, constants } from "node:zlib";

for (const file of process.argv.slice(2)) {
  const bytes = readFileSync(file);
  const brotli = brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: bytes.length > 4 << 20 ? 9 : 11,
      [constants.BROTLI_PARAM_LGWIN]: 24,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
  const kib = (n) => `${(n / 1024).toFixed(0)} KiB`.padStart(9);
  console.log(`${kib(bytes.length)}, brotli ${kib(brotli.length)}  ${file}`);
}
