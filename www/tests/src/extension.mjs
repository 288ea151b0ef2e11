// What tests of the extension have in common: pages made for it on two origins, Chromium with the unpacked extension,
// what a person does with it, what it draws.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, resolve } from "node:path";

import { chromium } from "playwright-core";

import { CHROMIUM, QUIET } from "./browser.mjs";
import { commandText, sample } from "./samples.mjs";

export const DIST = resolve(import.meta.dirname, "../../extension/dist");
/** A machine that does other things meanwhile takes its time, ms. */
export const PATIENCE = 120_000;

/** What the command reads with the extension's models. */
export const commandsText = (picture) => commandText(sample(picture), join(DIST, "chrome/models"));

/** Lines that are counted, 40 px each; what is fixed or stuck is seen all the time. */
const counted = (from, to) => {
  const line = (n) => `<p style="margin:0;height:40px;font:20px/40px 'DejaVu Sans',sans-serif">Line ${n} of the harbour report</p>`; // prettier-ignore
  return Array.from({ length: to - from + 1 }, (_, i) => line(from + i)).join("");
};

/** Paragraphs as long as those that people read. */
const TIDES = [
  "The harbour office prints the tide tables in March, and by April half of the fishermen have drawn corrections into them. High water at the old pier comes eleven minutes later than the book says, because the channel was dredged in 1987 and nobody asked the printer to change the figures.",
  "Visitors trust the book. The ferry, which leaves at 06:40 and 17:15, trusts the fishermen, and so do the gulls. Twice a year somebody walks out to the lighthouse by the printed figures and is brought back in a rowing boat, wet to the knees and rather quiet.",
  "The office knows. A new table would cost 2,300 pounds, says the harbour master, and the old one has a fine engraving of a cormorant on its cover. She keeps a pencil on a string beside the pile, and whoever buys a copy is told what the pencil is for.",
  "This spring the school measured the water for thirty days. The children nailed a board with centimetres to the pier, read it every quarter of an hour between nine and three, and drew a curve along the wall of their classroom that reaches from the door to the window.",
  "Their curve and the fishermen agree within two minutes. The children have sent it to the printer with a letter, a stamped envelope and a drawing of a cormorant, in case the engraving should be the difficulty.",
];

/** A picture in each way that pages have. `other` is the address of another site. */
const PAGES = {
  art: (other) => `<picture><source srcset="/dark.png" type="image/png" /><img id="it" src="${other}columns.png" width="760" height="300" /></picture>`, // prettier-ignore
  image: () => `<p>Above</p><img id="it" src="/dark.png" width="760" height="300" /><p>Below</p>`,
  foreign: (other) => `<img id="it" src="${other}dark.png" width="760" height="300" />`,
  background: () => `<div id="it" style="width:760px;height:300px;background:url(/dark.png)"></div>`,
  canvas: () => `<canvas id="it" width="760" height="300"></canvas>`,
  webgl: () => `<canvas id="it" class="webgl" width="760" height="300"></canvas>`,
  video: () => `<video id="it" muted width="760" height="300"></video>`,
  svg: () => `<svg id="it" width="760" height="300"><image href="/dark.png" width="760" height="300" /></svg>`,
  fine: (other) => `<img id="it" src="${other}dark.png" width="380" height="150" />`,
  frame: () =>
    `<iframe id="frame" src="/image" width="600" height="320" style="border:7px solid; padding:3px"></iframe>`,
  "foreign-frame": (other) => `<iframe id="it" src="${other}bare" width="760" height="300" style="border:0"></iframe>`,
  bare: () => `<style>body{margin:0}</style><img src="/dark.png" />`,
  clipped: () =>
    `<body style="margin:0"><div id="head" style="position:fixed;top:0;left:0;right:0;height:60px;background:#fff">Header</div><div id="box" style="margin-top:80px;width:600px;height:220px;overflow:auto"><img id="it" src="/dark.png" style="display:block" /></div><div style="height:2000px"></div></body>`, // prettier-ignore
  rtl: () => `<img id="it" src="/dark.png" width="760" height="300" style="margin-right:30px" />`,
  fitted: () => `<img id="it" src="/dark.png" style="width:500px;height:500px;object-fit:contain;padding:10px;border:5px solid" />`, // prettier-ignore
  long: () =>
    `<div style="height:1500px">Far below</div><img id="it" src="/dark.png" /><div style="height:900px"></div>`,
  large: () => `<img id="it" src="/columns.png" width="900" />`,
  article: () => `<body style="font:17px/1.6 Georgia,serif;max-width:720px;margin:32px auto;color:CanvasText;background:Canvas;color-scheme:light dark"><h1>What we spent on bread</h1><p>Every Saturday we walk down to the bakery at the corner. Receipts have piled up in the drawer, and nobody wants to type them.</p><img id="it" src="/receipt.jpg" height="430" /><p>This one is from the spring.</p></body>`, // prettier-ignore
  "bare-text": () => `<body style="font:17px/1.6 Georgia,serif;margin:60px;color-scheme:light dark"><p>A picture without words:</p><img id="it" src="/blank.svg" width="320" height="200" /></body>`, // prettier-ignore
  prose: () => `<body style="margin:24px 40px;font:17px/1.55 'DejaVu Sans',sans-serif;color:#222;background:#fff"><h1>The tide tables</h1>${TIDES.map((paragraph) => `<p>${paragraph}</p>`).join("")}</body>`, // prettier-ignore
  tall: () =>
    `<div id="bar" style="position:fixed;top:0;left:0;right:0;height:44px;background:#fff;font:20px/44px 'DejaVu Sans',sans-serif;padding-left:500px">Navigation bar</div><div style="height:60px"></div>${counted(1, 20)}<div style="position:sticky;top:44px;background:#fff;font:20px/40px 'DejaVu Sans',sans-serif">Second chapter</div>${counted(21, 60)}`, // prettier-ignore
  within: () => `<body style="margin:0"><div style="height:60px"></div><div id="it" style="height:600px;overflow:auto">${counted(1, 30)}</div></body>`, // prettier-ignore
  empty: () => `<div style="height:6000px"></div>${counted(1, 1)}`,
  two: () => `<img src="/transparent.png" /><hr /><img id="it" src="/dark.png" />`,
};

const TYPES = { ".jpg": "image/jpeg", ".pdf": "application/pdf", ".png": "image/png" };

/** Of pages that are shown to people. */
const TITLES = { article: "What we spent on bread", prose: "The tide tables" };

/** Draws into what needs drawing. */
const SCRIPT = `
  const image = new Image();
  image.src = "/dark.png";
  image.decode().then(() => {
    const canvas = document.querySelector("canvas") ?? Object.assign(document.createElement("canvas"), { width: 760, height: 300 });
    if (canvas.className === "webgl") {
      const gl = canvas.getContext("webgl");
      if (!gl) return;
      const make = (type, source) => { const s = gl.createShader(type); gl.shaderSource(s, source); gl.compileShader(s); return s; };
      const program = gl.createProgram();
      gl.attachShader(program, make(gl.VERTEX_SHADER, "attribute vec2 p; varying vec2 t; void main() { t = vec2(p.x, 1.0 - p.y); gl_Position = vec4(p * 2.0 - 1.0, 0.0, 1.0); }"));
      gl.attachShader(program, make(gl.FRAGMENT_SHADER, "precision highp float; varying vec2 t; uniform sampler2D i; void main() { gl_FragColor = texture2D(i, t); }"));
      gl.linkProgram(program); gl.useProgram(program);
      gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
      gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([0, 0, 1, 0, 0, 1, 1, 1]), gl.STATIC_DRAW);
      gl.enableVertexAttribArray(0); gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
      gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
      for (const [name, value] of [[gl.TEXTURE_MIN_FILTER, gl.NEAREST], [gl.TEXTURE_MAG_FILTER, gl.NEAREST], [gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE], [gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE]]) gl.texParameteri(gl.TEXTURE_2D, name, value);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, image);
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    } else canvas.getContext("2d").drawImage(image, 0, 0);
    const video = document.querySelector("video");
    if (video) {
      const draw = () => { canvas.getContext("2d").drawImage(image, 0, 0); requestAnimationFrame(draw); };
      draw();
      video.srcObject = canvas.captureStream(10);
      return video.play().then(() => new Promise((next) => video.requestVideoFrameCallback(next)));
    }
  }).then(() => document.documentElement.classList.add("ready"));
`;

/** Nothing is allowed that a page of the extension's could want of this one. */
const STRICT = (other) =>
  `default-src 'none'; script-src 'self'; img-src 'self' ${other}; media-src 'self'; frame-src 'self' ${other}; style-src-attr 'unsafe-inline'; require-trusted-types-for 'script'; trusted-types 'none'`;

/** Two sites with the same pages; each is another one's for the other. `files` are paths by their name. */
export async function sites(files = {}) {
  const asked = [];
  const listen = () =>
    new Promise((ready) => {
      const server = createServer((request, response) => {
        const { pathname } = new URL(request.url, "http://localhost");
        asked.push(request.url);
        const name = pathname.slice(1);
        if (name in files) {
          response.writeHead(200, { "content-type": TYPES[extname(name)] });
          return void response.end(readFileSync(files[name]));
        }
        if (/^[\w-]+\.(png|jpg)$/.test(name)) {
          return void response
            .writeHead(200, { "content-type": name.endsWith("png") ? "image/png" : "image/jpeg" })
            .end(readFileSync(sample(name)));
        }
        if (name === "blank.svg") {
          const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="320" height="200"><rect width="320" height="200" fill="#9cc5bf"/></svg>`; // prettier-ignore
          return void response.writeHead(200, { "content-type": "image/svg+xml" }).end(drawing);
        }
        if (name === "script.js")
          return void response.writeHead(200, { "content-type": "text/javascript" }).end(SCRIPT);
        if (!(name in PAGES)) return void response.writeHead(404).end();
        const { port } = server.address();
        const other = port === first.address().port ? address(second) : address(first);
        const strict = name === "bare" ? {} : { "content-security-policy": STRICT(other) };
        response.writeHead(200, { "content-type": "text/html; charset=utf-8", ...strict });
        const body = PAGES[name](other);
        response.end(`<!doctype html><html dir="${name === "rtl" ? "rtl" : "ltr"}"><title>${TITLES[name] ?? `Page ${name}`}</title>${body}<script src="/script.js"></script></html>`); // prettier-ignore
      });
      server.listen(0, "127.0.0.1", () => ready(server));
    });
  const address = (server) => `http://127.0.0.1:${server.address().port}/`;
  const [first, second] = [await listen(), await listen()];
  return {
    url: address(first),
    other: address(second),
    asked,
    stop: () => {
      for (const server of [first, second]) {
        server.closeAllConnections();
        server.close();
      }
    },
  };
}

/** Chromium with the unpacked extension, watched: what is asked of anybody else fails the test. */
export async function launchExtension(site, { unpacked = join(DIST, "chrome"), flags = [], ...options } = {}) {
  const profile = mkdtempSync(join(tmpdir(), "maoocr-extension-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    // Extensions need the new headless mode.
    headless: false,
    args: [
      ...["--headless=new", "--no-sandbox", ...QUIET, "--force-color-profile=srgb"],
      ...[`--disable-extensions-except=${unpacked}`, `--load-extension=${unpacked}`],
      ...["--enable-unsafe-extension-debugging", `--lang=${options.locale ?? "en-GB"}`, ...flags],
    ],
    viewport: { width: 1000, height: 800 },
    locale: "en-GB",
    ...options,
  });
  context.setDefaultTimeout(PATIENCE);
  const faults = [];
  const allowed = [site.url, site.other, "chrome-extension:", "data:", "blob:", "about:", "chrome:"];
  const watch = (request) => {
    if (!allowed.some((start) => request.url().startsWith(start))) faults.push(`a request to ${request.url()}`);
  };
  context.on("request", watch);
  const first = context.serviceWorkers()[0] ?? (await context.waitForEvent("serviceworker"));
  const id = new URL(first.url()).host;
  /** Where it ended, a message starts it, as any message of the extension's pages does. */
  const background = async () => {
    const { targetInfos } = await browser.send("Target.getTargets", { filter: [{}] });
    if (targetInfos.some(({ type }) => type === "service_worker")) return first;
    const own = await context.newPage();
    await own.goto(`chrome-extension://${id}/options.html`);
    await own.evaluate(() => chrome.runtime.sendMessage({ kind: "wake" }));
    await own.close();
    await page.bringToFront();
    return first;
  };
  const browser = await context.browser().newBrowserCDPSession();
  const page = await context.newPage();
  page.on("console", (message) => {
    if (/content security policy|trusted type/i.test(message.text())) faults.push(message.text());
  });
  const devtools = await context.newCDPSession(page);
  const extension = {
    id,
    profile,
    context,
    page,
    faults,
    background,
    devtools,
    browser,
    visit,
    allow,
    popup,
    menu,
    picking,
    shadow,
    until,
    told,
    end,
  };
  return extension;

  async function visit(path, where = site.url) {
    await page.goto(new URL(path, where).href);
    await page.waitForSelector("html.ready");
    await allow();
  }

  /** What a person's click on the toolbar's button means for the browser: the extension may see this tab. */
  async function allow() {
    // The popup that this opens isn't wanted.
    await browser.send("Target.closeTarget", { targetId: await clicked() });
  }

  /** Clicks on the toolbar's button. Gives the popup's identifier. */
  async function clicked() {
    await page.bringToFront();
    const { targetInfos } = await browser.send("Target.getTargets", { filter: [{ type: "tab" }] });
    const { targetId } = targetInfos.find(({ url }) => url === page.url());
    await browser.send("Extensions.triggerAction", { id, targetId });
    for (const end = Date.now() + PATIENCE; ; await new Promise((next) => setTimeout(next, 50))) {
      const { targetInfos: all } = await browser.send("Target.getTargets", { filter: [{}] });
      const popup = all.find(({ url, type }) => url.endsWith("/popup.html") && type !== "tab");
      if (popup) return popup.targetId;
      assert.ok(Date.now() < end, "no popup opens");
    }
  }

  /** Clicks on the toolbar's button, and gives what runs functions in the popup, which Playwright has no page for. */
  async function popup() {
    const { sessionId } = await browser.send("Target.attachToTarget", { targetId: await clicked(), flatten: false });
    const waiting = new Map();
    browser.on("Target.receivedMessageFromTarget", ({ message }) => {
      const { id: of, result } = JSON.parse(message);
      waiting.get(of)?.(result);
    });
    let last = 0;
    return async (work, ...args) => {
      const of = ++last;
      const answer = new Promise((done) => waiting.set(of, done));
      const params = {
        expression: `(${work})(...${JSON.stringify(args)})`,
        ...{ awaitPromise: true, returnByValue: true, userGesture: true },
      };
      const message = JSON.stringify({ id: of, method: "Runtime.evaluate", params });
      await browser.send("Target.sendMessageToTarget", { sessionId, message });
      const { result, exceptionDetails } = await answer;
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    };
  }

  /** What the browser tells the extension when somebody chooses an item of its menu. */
  async function menu(item, clicked = {}) {
    await (
      await background()
    ).evaluate(
      async ({ menuItemId, ...more }) => {
        const [tab] = await chrome.tabs.query({ active: true, lastFocusedWindow: true });
        chrome.contextMenus.onClicked.dispatch({ menuItemId, frameId: 0, editable: false, ...more }, tab);
      },
      { menuItemId: item, ...clicked },
    );
  }

  /** Chooses an item of the menu after which a picture or a part is picked; resolved once one can be. */
  async function picking() {
    await menu("pick");
    await until(() => shadow((root) => root.querySelector(".layer") !== null));
  }

  /** Once it is so; what it gave. */
  async function until(condition) {
    for (const end = Date.now() + PATIENCE; ; await new Promise((next) => setTimeout(next, 50))) {
      const value = await condition();
      if (value) return value;
      assert.ok(Date.now() < end, `never: ${condition}`);
    }
  }

  /** Runs a function on the closed shadow tree; null where there is none. */
  async function shadow(work, frame = null) {
    const { root } = await devtools.send("DOM.getDocument", { depth: -1, pierce: true });
    const found = find(root, frame);
    if (!found) return null;
    const { object } = await devtools.send("DOM.resolveNode", { backendNodeId: found.backendNodeId });
    const { result, exceptionDetails } = await devtools.send("Runtime.callFunctionOn", {
      objectId: object.objectId,
      functionDeclaration: `function () { return (${work})(this); }`,
      returnByValue: true,
    });
    // Else the page keeps the tree.
    await devtools.send("Runtime.releaseObject", { objectId: object.objectId });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** The text once it was read: over a picture, or in the panel. */
  async function told() {
    for (const end = Date.now() + PATIENCE; ; await new Promise((next) => setTimeout(next, 100))) {
      const seen = await shadow((root) => ({
        rows: [...root.querySelectorAll(".row")].map((row) => row.textContent),
        field: root.querySelector("textarea:not([hidden])")?.value ?? "",
        says: root.querySelector(".says")?.textContent ?? "",
        wrong: root.querySelector(".wrong") !== null,
      })).catch(() => null);
      if (seen?.rows.length) return seen.rows.join("\n");
      if (seen?.field) return seen.field;
      assert.ok(!seen?.wrong, seen?.says);
      assert.ok(Date.now() < end, `nothing was read: ${JSON.stringify(seen)}`);
    }
  }

  async function end() {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
}

function find(node) {
  for (const root of node.shadowRoots ?? []) if (root.shadowRootType === "closed") return root;
  for (const child of [...(node.children ?? []), ...(node.contentDocument ? [node.contentDocument] : [])]) {
    const found = find(child);
    if (found) return found;
  }
  return null;
}

/** Lines without the empty ones between paragraphs: over a picture there are none. */
export const lines = (text) => text.split("\n").filter(Boolean).join("\n");
