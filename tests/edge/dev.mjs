// The Worker in workerd on 127.0.0.1:8787, before a server of its own. Ctrl-C ends both.

import { SECRET, edge, origin, origins } from "./stand.mjs";

const port = Number(process.env.EDGE_PORT ?? 8787);
process.env.EDGE_LOG = "1";
const server = await origin(["--edge-secret", SECRET]);
const worker = await edge({ port, vars: { AUTH: "open", RATE: "0", ORIGINS: origins(["local", server.base]) } });
console.log(`${worker.url} before ${server.base}; /docs describes it\n`);
console.log(`  curl -F image=@tests/samples/receipt.jpg ${worker.url}/api/ocr/recognize`);
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, async () => {
    await Promise.all([worker.stop(), server.kill()]);
    process.exit();
  });
}
