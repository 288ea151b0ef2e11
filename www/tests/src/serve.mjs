// The built app over HTTP, from a port of its own, as any host of static files would serve it.

import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize, resolve } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";

export const DIST = resolve(import.meta.dirname, "../../app/dist");

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
};

/** By path: a file is compressed once. */
const packed = new Map();

function pack(file) {
  if (!packed.has(file)) {
    // As MaoOCR's server does: what the build compressed is sent as it is.
    const ready = `${file}.br`;
    const quality = file.includes("/models/") ? 9 : 11;
    const compressed = () =>
      brotliCompressSync(readFileSync(file), { params: { [constants.BROTLI_PARAM_QUALITY]: quality } });
    packed.set(file, existsSync(ready) ? readFileSync(ready) : compressed());
  }
  return packed.get(file);
}

/** `answer` may take a request first; `sent` hears of every file, and of its bytes on the wire. With `compress` they are
 * sent in brotli, as hosts do. `root` is the folder of the built app. */
export async function serve({ answer = () => false, sent = () => {}, compress = false, root = DIST } = {}) {
  const server = createServer((request, response) => {
    if (answer(request, response)) return;
    const path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
    const file = join(root, path.endsWith("/") ? `${path}index.html` : path);
    const found = statSync(file, { throwIfNoEntry: false });
    if (!file.startsWith(root) || !found?.isFile()) {
      response.writeHead(404).end();
      return;
    }
    const headers = {
      "content-type": TYPES[extname(file)] ?? "application/octet-stream",
      "cache-control": "no-cache",
    };
    if (compress) {
      const body = pack(file);
      sent(path, body.length);
      response.writeHead(200, { ...headers, "content-encoding": "br", "content-length": body.length }).end(body);
      return;
    }
    sent(path, found.size);
    response.writeHead(200, { ...headers, "content-length": found.size });
    createReadStream(file).pipe(response);
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    stop: () => {
      server.closeAllConnections();
      return new Promise((stopped) => server.close(stopped));
    },
  };
}
