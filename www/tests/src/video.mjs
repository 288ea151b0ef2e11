// What a hand-held camera sees of a picture: a window that moves over it, as a Y4M file for Chromium's fake camera.

import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";

const WIDTH = 640;
const HEIGHT = 480;
const FRAMES = 48;
const RATE = 12;
/** Furthest from the middle, px. */
export const SWAY = 36;

/** Where the window's corner lies in frame `n`, as an offset from its middle place: a closed curve, so that the video
 * can run in a loop. */
function swayAt(n) {
  const phase = (2 * Math.PI * n) / FRAMES;
  return { x: Math.round(SWAY * Math.sin(phase)), y: Math.round((SWAY / 2) * Math.sin(2 * phase)) };
}

/** Writes the video of a picture and returns its path. */
export async function movingPicture(browser, picture) {
  const { pixels, width, height } = await decode(browser, picture, WIDTH + 2 * SWAY, HEIGHT + 2 * SWAY);
  const parts = [Buffer.from(`YUV4MPEG2 W${WIDTH} H${HEIGHT} F${RATE}:1 Ip A1:1 C420jpeg\n`)];
  for (let n = 0; n < FRAMES; n++) {
    const { x, y } = swayAt(n);
    parts.push(Buffer.from("FRAME\n"), frame(pixels, width, height, SWAY + x, SWAY + y));
  }
  const file = join(mkdtempSync(join(tmpdir(), "maoocr-video-")), "camera.y4m");
  writeFileSync(file, Buffer.concat(parts));
  return file;
}

/** RGBA of the picture's upper part, scaled to the width and cut at the height. */
async function decode(browser, picture, width, height) {
  const page = await browser.newPage();
  const type = extname(picture) === ".png" ? "image/png" : "image/jpeg";
  const url = `data:${type};base64,${readFileSync(picture).toString("base64")}`;
  const base64 = await page.evaluate(
    async ([source, w, h]) => {
      const image = new Image();
      image.src = source;
      await image.decode();
      const canvas = new OffscreenCanvas(w, h);
      const context = canvas.getContext("2d");
      const scale = w / image.width;
      context.fillStyle = "#888";
      context.fillRect(0, 0, w, h);
      context.drawImage(image, 0, 0, w, image.height * scale);
      const { data } = context.getImageData(0, 0, w, h);
      let text = "";
      for (let i = 0; i < data.length; i += 0x8000) text += String.fromCharCode(...data.subarray(i, i + 0x8000));
      return btoa(text);
    },
    [url, width, height],
  );
  await page.close();
  return { pixels: Buffer.from(base64, "base64"), width, height };
}

/** A window of the pixels as planes. */
function frame(rgba, width, _height, left, top) {
  return planes(rgba, WIDTH, HEIGHT, (x, y) => ((top + y) * width + left + x) * 4);
}

/** Pixels as planes Y, Cb, Cr (JPEG's full range), chroma halved both ways; `at` says where a pixel's are. */
function planes(rgba, width, height, at = (x, y) => (y * width + x) * 4) {
  const made = Buffer.alloc((width * height * 3) / 2);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = at(x, y);
      made[y * width + x] = 0.299 * rgba[i] + 0.587 * rgba[i + 1] + 0.114 * rgba[i + 2];
    }
  }
  const [cb, cr] = [width * height, (width * height * 5) / 4];
  for (let y = 0; y < height; y += 2) {
    for (let x = 0; x < width; x += 2) {
      const i = at(x, y);
      const place = (y / 2) * (width / 2) + x / 2;
      made[cb + place] = 128 - 0.168736 * rgba[i] - 0.331264 * rgba[i + 1] + 0.5 * rgba[i + 2];
      made[cr + place] = 128 + 0.5 * rgba[i] - 0.418688 * rgba[i + 1] - 0.081312 * rgba[i + 2];
    }
  }
  return made;
}

/** What a camera sees of a sheet that lies on a desk at an angle, half in a shadow, and where its corners are then; the
 * file is a Y4M of one picture, over and over. */
export async function sheetOnDesk(browser, html, { width = 1280, height = 960 } = {}) {
  // A4 before a lens of 65°, the sheet tilted about all three axes.
  const [rx, ry, rz] = [24, -11, 5].map((degrees) => (degrees * Math.PI) / 180);
  const corners = [
    [-105, -148.5],
    [105, -148.5],
    [105, 148.5],
    [-105, 148.5],
  ].map(([u, v]) => {
    const [x1, y1] = [u * Math.cos(rz) - v * Math.sin(rz), u * Math.sin(rz) + v * Math.cos(rz)];
    const [y2, z2] = [y1 * Math.cos(rx), -y1 * Math.sin(rx)];
    const [x3, z3] = [x1 * Math.cos(ry) + z2 * Math.sin(ry), -x1 * Math.sin(ry) + z2 * Math.cos(ry)];
    const scale = (0.785 * width) / (370 + z3);
    return [width / 2 + x3 * scale, height / 2 + y2 * scale];
  });
  const page = await browser.newPage({ viewport: { width: 794, height: 1123 }, deviceScaleFactor: 2 });
  await page.setContent(html);
  const shot = await page.screenshot();
  const base64 = await page.evaluate(photographed, { source: `data:image/png;base64,${shot.toString("base64")}`, corners, width, height }); // prettier-ignore
  await page.close();
  const rgba = Buffer.from(base64, "base64");
  const parts = [Buffer.from(`YUV4MPEG2 W${width} H${height} F5:1 Ip A1:1 C420jpeg\n`)];
  const picture = planes(rgba, width, height);
  for (let n = 0; n < 3; n++) parts.push(Buffer.from("FRAME\n"), picture);
  const file = join(mkdtempSync(join(tmpdir(), "maoocr-desk-")), "desk.y4m");
  writeFileSync(file, Buffer.concat(parts));
  return { file, corners };
}

/** In a page: RGBA of the sheet as seen, in base64. */
async function photographed({ source, corners, width, height }) {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const sheet = context.getImageData(0, 0, image.width, image.height).data;
  // From the unit square to the corners (Heckbert, "Fundamentals of Texture Mapping and Image Warping", 1989), inverted.
  const [[x0, y0], [x1, y1], [x2, y2], [x3, y3]] = corners;
  const [dx1, dx2, dy1, dy2] = [x1 - x2, x3 - x2, y1 - y2, y3 - y2];
  const [sx, sy] = [x0 - x1 + x2 - x3, y0 - y1 + y2 - y3];
  const w = dx1 * dy2 - dx2 * dy1;
  const [g, h] = [(sx * dy2 - dx2 * sy) / w, (dx1 * sy - sx * dy1) / w];
  const [a, b, c] = [x1 - x0 + g * x1, x3 - x0 + h * x3, x0];
  const [d, e, f] = [y1 - y0 + g * y1, y3 - y0 + h * y3, y0];
  const back = [e - f * h, c * h - b, b * f - c * e, f * g - d, a - c * g, c * d - a * f, d * h - e * g, b * g - a * h, a * e - b * d]; // prettier-ignore
  const out = new Uint8ClampedArray(width * height * 4);
  let state = 5;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const noise = (state >>> 29) - 4;
      const z = back[6] * x + back[7] * y + back[8];
      const [u, v] = [(back[0] * x + back[1] * y + back[2]) / z, (back[3] * x + back[4] * y + back[5]) / z];
      const light = 1 - 0.35 * Math.min(1, Math.max(0, (x - 0.4 * width) / (0.4 * width)));
      const grain = 8 * Math.sin(x / 31 + Math.sin(y / 47) * 2);
      let rgb = [124 + grain, 88 + grain, 60 + grain];
      if (u >= 0 && u < 1 && v >= 0 && v < 1) {
        // The mean of four places: a lens is softer than a screenshot.
        rgb = [0, 0, 0];
        for (const [ox, oy] of [
          [0, 0],
          [1, 0],
          [0, 1],
          [1, 1],
        ]) {
          // prettier-ignore
          const px = Math.min(image.width - 1, Math.floor(u * image.width) + ox);
          const py = Math.min(image.height - 1, Math.floor(v * image.height) + oy);
          for (let n = 0; n < 3; n++) rgb[n] += (sheet[(py * image.width + px) * 4 + n] * 0.92) / 4;
        }
      }
      for (let n = 0; n < 3; n++) out[(y * width + x) * 4 + n] = rgb[n] * light + noise;
      out[(y * width + x) * 4 + 3] = 255;
    }
  let text = "";
  for (let i = 0; i < out.length; i += 0x8000) text += String.fromCharCode(...out.subarray(i, i + 0x8000));
  return btoa(text);
}
