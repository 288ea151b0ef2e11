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

/** A window of the pixels as planes Y, Cb, Cr (JPEG's full range), chroma halved both ways. */
function frame(rgba, width, _height, left, top) {
  const planes = Buffer.alloc((WIDTH * HEIGHT * 3) / 2);
  const at = (x, y) => ((top + y) * width + left + x) * 4;
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      const i = at(x, y);
      planes[y * WIDTH + x] = 0.299 * rgba[i] + 0.587 * rgba[i + 1] + 0.114 * rgba[i + 2];
    }
  }
  const [cb, cr] = [WIDTH * HEIGHT, (WIDTH * HEIGHT * 5) / 4];
  for (let y = 0; y < HEIGHT; y += 2) {
    for (let x = 0; x < WIDTH; x += 2) {
      const i = at(x, y);
      const place = (y / 2) * (WIDTH / 2) + x / 2;
      planes[cb + place] = 128 - 0.168736 * rgba[i] - 0.331264 * rgba[i + 1] + 0.5 * rgba[i + 2];
      planes[cr + place] = 128 + 0.5 * rgba[i] - 0.418688 * rgba[i + 1] - 0.081312 * rgba[i + 2];
    }
  }
  return planes;
}
