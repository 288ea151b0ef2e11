// Writes the edge's documentation: the description and the pages of `maoocr serve`, less what only a server's operator
// calls. Usage: node worker-edge/describe.mjs MAOOCR FOLDER

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [maoocr, folder] = process.argv.slice(2);
/** Paths that are one server's, not the edge's. */
const OPERATORS = ["/metrics", "/api/models/{name}/reload"];

const data = mkdtempSync(join(tmpdir(), "maoocr-describe-"));
const server = spawn(maoocr, ["serve", "--listen", "127.0.0.1:0", "--offline", "--device", "cpu", "--data", data], {
  stdio: ["ignore", "ignore", "pipe"],
});
try {
  const base = await new Promise((resolve, reject) => {
    const log = [];
    createInterface({ input: server.stderr }).on("line", (line) => {
      log.push(line);
      const found = /listening on (http:\S+?),/u.exec(line);
      if (found) resolve(found[1]);
    });
    server.on("exit", () => reject(new Error(`maoocr serve ended:\n${log.join("\n")}`)));
  });
  const get = async (path) => {
    const response = await fetch(base + path);
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    return Buffer.from(await response.arrayBuffer());
  };
  const description = edge(JSON.parse(await get("/openapi.json")));
  writeFileSync(join(folder, "openapi.json"), JSON.stringify(description));
  mkdirSync(join(folder, "docs"), { recursive: true });
  const page = String(await get("/docs/"));
  writeFileSync(join(folder, "docs/index.html"), page);
  for (const [, name] of page.matchAll(/(?:href|src)="(?:\.\/)?([\w.-]+)"/gu)) {
    writeFileSync(join(folder, "docs", name), await get(`/docs/${name}`));
  }
} finally {
  server.removeAllListeners("exit");
  server.kill();
  rmSync(data, { recursive: true, force: true });
}

/** The server's description as the edge keeps it. */
function edge(description) {
  for (const path of OPERATORS) delete description.paths[path];
  description.info.description +=
    " At the edge, light pictures and small PDFs are read where the request arrives, others on a server; the header" +
    " `x-maoocr-route` says where and why.";
  // The edge keeps nothing in a database.
  description.paths["/ready"].get.responses[200].content = description.paths["/health"].get.responses[200].content;
  delete description.components.schemas.Ready;
  const route = { description: "Where the picture was read, and why", schema: { type: "string" } };
  const problem = { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } };
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const { responses } of Object.values(methods)) {
      for (const response of Object.values(responses)) {
        response.headers = { ...response.headers, "x-maoocr-route": route };
      }
      // Where a server is asked, there may be none.
      if (/^\/(api|v1)\//u.test(path) && !responses["5XX"]) {
        delete responses[503];
        responses["5XX"] = { description: "No server answers, or not in time", content: problem };
      }
    }
  }
  return description;
}
