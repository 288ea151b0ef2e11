// Calls the tools with the Model Context Protocol's own client for JavaScript: node mcp.mjs stdio MAOOCR FOLDER | http URL
// KEY FOLDER. FOLDER holds `two.pdf`, a PDF of two scanned pages, and `receipt.jpg`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const [way, ...rest] = process.argv.slice(2);
const folder = rest.at(-1);
const client = new Client({ name: "test", version: "1" });
if (way === "stdio") {
  const args = ["mcp", "--offline", "--device", "cpu", "--root", folder];
  // Its own environment has little: the models may be elsewhere.
  const { env } = process;
  await client.connect(new StdioClientTransport({ command: rest[0], args, env, stderr: "ignore" }));
} else {
  const [url, key] = rest;
  const requestInit = { headers: { authorization: `Bearer ${key}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
}
const types = { pdf: "application/pdf", jpg: "image/jpeg" };
const place = (name) =>
  way === "stdio"
    ? name
    : `data:${types[name.split(".").at(-1)]};base64,${readFileSync(join(folder, name)).toString("base64")}`;
const call = (name, args, options) => client.callTool({ name, arguments: args }, options);
const said = ({ content }) => content.map(({ text = "" }) => text).join("\n");

const names = (await client.listTools()).tools.map(({ name }) => name);
assert.deepEqual(names.sort(), ["convert_to_markdown", "find_in_document", "make_searchable_pdf", "read_text"]);
assert.match(said(await call("read_text", { uri: place("receipt.jpg") })), /CORNER BAKERY/u);
const heard = [];
const onprogress = ({ progress, total }) => heard.push([progress, total]);
assert.match(said(await call("convert_to_markdown", { uri: place("two.pdf") }, { onprogress })), /Compiling serde/u);
// The client drops what comes together with the answer.
assert.deepEqual(heard[0], [1, 2]);
const found = await call("find_in_document", { uri: place("two.pdf"), query: "compiling serde" });
assert.equal(found.structuredContent.places[0].page, 2);
const made = await call("make_searchable_pdf", { uri: place("receipt.jpg") });
const { uri } = made.content.find(({ type }) => type === "resource_link");
const [{ blob }] = (await client.readResource({ uri })).contents;
assert.equal(Buffer.from(blob, "base64").toString("latin1", 0, 5), "%PDF-");
const refused = await call("read_text", { uri: "/etc/passwd" });
assert.deepEqual([refused.isError, refused.structuredContent.code], [true, "path_not_allowed"]);
await client.close();
console.log(`${way}: ok`);
