// Pictures, and what the command reads in them.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { extname, join, resolve } from "node:path";
import { crc32, deflateSync } from "node:zlib";

export const sample = (name) => resolve(import.meta.dirname, "../../../tests/samples", name);

const TINY = ["ppocrv6-tiny-det.onnx", "ppocrv6-tiny-rec.onnx", "ppocrv6-tiny-dict.txt"];

const store = process.env.MAOOCR_MODELS ?? join(homedir(), ".cache/maoocr/models");

/** The command's text with the models that a first visit brings; or, with the store's folder, with all of them. */
export function commandText(picture, models = tiny()) {
  const options = ["recognize", "--json", "--device", "cpu", "--offline", "--models", models, picture];
  const answer = execFileSync(process.env.MAOOCR_BIN ?? "maoocr", options, { encoding: "utf8" });
  return JSON.parse(answer).text;
}

/** The lines that the command reads on each page of a file, with the models in that folder. */
export function commandLines(file, models) {
  const options = ["recognize", "--json", "--device", "cpu", "--offline", "--models", models, file];
  const answer = execFileSync(process.env.MAOOCR_BIN ?? "maoocr", options, { encoding: "utf8" });
  const pages = answer
    .trim()
    .split("\n")
    .map((page) => JSON.parse(page));
  return pages.map(({ lines }) => lines.map(({ text }) => text).join("\n"));
}

/** What the command writes of a file in that form, with the models that a first visit brings. */
export function commandForm(file, form, models = tiny()) {
  const options = ["recognize", "--format", form, "--device", "cpu", "--offline", "--models", models, file];
  return execFileSync(process.env.MAOOCR_BIN ?? "maoocr", options, { encoding: "utf8" });
}

export const allModels = store;

function tiny() {
  const models = mkdtempSync(join(tmpdir(), "maoocr-models-"));
  for (const name of TINY) symlinkSync(join(store, name), join(models, name));
  return models;
}

/** Paths of `count` JPEGs of the size, no two the same: `picture` in the middle of a desk, or of paper that a scanner saw. */
export async function shotsOf(browser, picture, count, width, height) {
  const page = await browser.newPage();
  const folder = mkdtempSync(join(tmpdir(), "maoocr-shots-"));
  const type = extname(picture) === ".png" ? "image/png" : "image/jpeg";
  const source = `data:${type};base64,${readFileSync(picture).toString("base64")}`;
  const paths = [];
  for (let n = 0; n < count; n++) {
    const base64 = await page.evaluate(draw, { source, width, height, n });
    paths.push(join(folder, `${String(n + 1).padStart(3, "0")}.jpg`));
    writeFileSync(paths[n], Buffer.from(base64, "base64"));
  }
  await page.close();
  return paths;
}

/** In a page: the picture as large as fits, a little elsewhere each time, with the noise of a sensor. */
async function draw({ source, width, height, n }) {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.fillStyle = `hsl(${(n * 37) % 360} 8% 92%)`;
  context.fillRect(0, 0, width, height);
  const scale = Math.min((0.9 * width) / image.width, (0.9 * height) / image.height);
  const [w, h] = [image.width * scale, image.height * scale];
  context.drawImage(image, ((width - w) * (1 + (n % 7) / 7)) / 2, ((height - h) * (1 + (n % 5) / 5)) / 2, w, h);
  const pixels = context.getImageData(0, 0, width, height);
  let state = n + 1;
  for (let i = 0; i < pixels.data.length; i += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const noise = (state >>> 28) - 8;
    for (let c = 0; c < 3; c++) pixels.data[i + c] += noise;
  }
  context.putImageData(pixels, 0, 0);
  const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: "image/jpeg", quality: 0.8 })).arrayBuffer());
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}

/** A black and white PNG of 1000 × 800 px, each enlarged to `scale` × `scale`, with these lines of text, and its path. */
export async function hugeOf(browser, lines, scale) {
  const [width, height] = [1000, 800];
  const page = await browser.newPage();
  const dark = await page.evaluate(
    ({ lines, width, height }) => {
      const context = new OffscreenCanvas(width, height).getContext("2d");
      context.fillStyle = "#fff";
      context.fillRect(0, 0, width, height);
      context.fillStyle = "#000";
      context.font = "bold 60px 'DejaVu Sans', sans-serif";
      for (const [n, line] of lines.entries()) context.fillText(line, 60, 150 + 120 * n);
      const { data } = context.getImageData(0, 0, width, height);
      return Array.from({ length: width * height }, (_, i) => (data[4 * i] < 128 ? 1 : 0)).join("");
    },
    { lines, width, height },
  );
  await page.close();
  const chunk = (kind, data) => {
    const body = Buffer.concat([Buffer.from(kind), data]);
    const framed = Buffer.alloc(body.length + 8);
    framed.writeUInt32BE(data.length);
    body.copy(framed, 4);
    framed.writeUInt32BE(crc32(body), body.length + 4);
    return framed;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width * scale);
  head.writeUInt32BE(height * scale, 4);
  head.writeUInt8(1, 8);
  const row = (y) => {
    const bits = [...dark.slice(y * width, (y + 1) * width)]
      .map((bit) => (bit === "1" ? "0" : "1").repeat(scale))
      .join("");
    return Buffer.from([0, ...bits.match(/.{1,8}/g).map((byte) => parseInt(byte.padEnd(8, "0"), 2))]);
  };
  const rows = Array.from({ length: height }, (_, y) => Array(scale).fill(row(y))).flat();
  const parts = [chunk("IHDR", head), chunk("IDAT", deflateSync(Buffer.concat(rows))), chunk("IEND", Buffer.alloc(0))];
  const path = join(mkdtempSync(join(tmpdir(), "maoocr-huge-")), "huge.png");
  writeFileSync(path, Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), ...parts]));
  return path;
}

/** A PDF of one JPEG a page, px for points, and its path. */
export function pdfOf(...jpegs) {
  const objects = [];
  const add = (...parts) => objects.push(Buffer.concat(parts.map((part) => Buffer.from(part)))) && objects.length;
  const pagesAt = jpegs.length * 3 + 1;
  const kids = jpegs.map((path) => {
    const bytes = readFileSync(path);
    const { width, height } = jpegSize(bytes);
    const image = add(
      `<</Type/XObject/Subtype/Image/Width ${width}/Height ${height}/ColorSpace/DeviceRGB/BitsPerComponent 8`,
      `/Filter/DCTDecode/Length ${bytes.length}>>stream\n`,
      bytes,
      "\nendstream",
    );
    const draw = `${width} 0 0 ${height} 0 0 cm /I Do`;
    const content = add(`<</Length ${draw.length}>>stream\n${draw}\nendstream`);
    return add(
      `<</Type/Page/Parent ${pagesAt} 0 R/MediaBox[0 0 ${width} ${height}]/Contents ${content} 0 R`,
      `/Resources<</XObject<</I ${image} 0 R>>>>>>`,
    );
  });
  add(`<</Type/Pages/Count ${kids.length}/Kids[${kids.map((kid) => `${kid} 0 R`).join(" ")}]>>`);
  const catalog = add(`<</Type/Catalog/Pages ${pagesAt} 0 R>>`);

  let file = Buffer.from("%PDF-1.4\n");
  const offsets = objects.map((object, i) => {
    const at = file.length;
    file = Buffer.concat([file, Buffer.from(`${i + 1} 0 obj`), object, Buffer.from("endobj\n")]);
    return at;
  });
  const table = offsets.map((at) => `${String(at).padStart(10, "0")} 00000 n \n`).join("");
  const trailer = `<</Size ${objects.length + 1}/Root ${catalog} 0 R>>`;
  const end = `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${table}trailer${trailer}startxref\n${file.length}\n%%EOF`;
  const path = join(mkdtempSync(join(tmpdir(), "maoocr-pdf-")), "scan.pdf");
  writeFileSync(path, Buffer.concat([file, Buffer.from(end)]));
  return path;
}

/** The same PDF, which opens with the password only, and its path. */
export function lockedPdf(pdf, password) {
  const path = join(mkdtempSync(join(tmpdir(), "maoocr-locked-")), "locked.pdf");
  execFileSync("qpdf", [
    "--warning-exit-0",
    "--no-warn",
    "--encrypt",
    password,
    "of the owner",
    "256",
    "--",
    pdf,
    path,
  ]);
  return path;
}

/** A TIFF of these pages, as RGB without compression. */
export function tiffOf(pages) {
  const parts = [Buffer.from("II*\0\0\0\0\0", "latin1")];
  let length = parts[0].length;
  let link = [parts[0], 4];
  const add = (part) => {
    parts.push(part);
    length += part.length;
    return length - part.length;
  };
  for (const { width, height, data } of pages) {
    const strip = add(Buffer.from(data.length % 2 ? [...data, 0] : data));
    const bits = add(Buffer.from([8, 0, 8, 0, 8, 0]));
    const entries = [
      [256, 4, 1, width],
      [257, 4, 1, height],
      [258, 3, 3, bits],
      [259, 3, 1, 1],
      [262, 3, 1, 2],
      [273, 4, 1, strip],
      [277, 3, 1, 3],
      [278, 4, 1, height],
      [279, 4, 1, data.length],
    ];
    const directory = Buffer.alloc(2 + entries.length * 12 + 4);
    directory.writeUInt16LE(entries.length, 0);
    entries.forEach(([tag, type, count, value], i) => {
      directory.writeUInt16LE(tag, 2 + i * 12);
      directory.writeUInt16LE(type, 4 + i * 12);
      directory.writeUInt32LE(count, 6 + i * 12);
      directory.writeUInt32LE(value, 10 + i * 12);
    });
    const at = add(directory);
    link[0].writeUInt32LE(at, link[1]);
    link = [directory, directory.length - 4];
  }
  return Buffer.concat(parts);
}

/** From the frame header. */
export function jpegSize(bytes) {
  for (let at = 2; at < bytes.length;) {
    const marker = bytes[at + 1];
    if (marker >= 0xc0 && marker <= 0xc2)
      return { height: bytes.readUInt16BE(at + 5), width: bytes.readUInt16BE(at + 7) };
    at += 2 + bytes.readUInt16BE(at + 2);
  }
  throw new Error("no frame header");
}

/** What poppler finds in a PDF; its pages end with form feeds. */
export function textOfPdf(content) {
  const path = join(mkdtempSync(join(tmpdir(), "maoocr-searchable-")), "made.pdf");
  writeFileSync(path, content);
  return execFileSync("pdftotext", ["-q", path, "-"], { encoding: "utf8" });
}
