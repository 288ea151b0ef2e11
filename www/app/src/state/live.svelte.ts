// Live reading: a frame is read now and then, in between labels follow the scene.

import {
  appliedToQuad,
  bounds,
  coloursOf,
  composed,
  Flow,
  grey,
  inverted,
  isCancelled,
  LARGEST,
  OcrError,
  pace,
  Tracks,
  type Frame,
  type Homography,
  type Quad,
  type Seen,
  type Track,
} from "@maoocr/lib";

import { ocr } from "./client.ts";
import { codesIn, type Code } from "./codes.ts";
import { tellFallback } from "./errors.ts";
import { settings } from "./settings.svelte.ts";

/** Longest side of the frames in which the scene is followed, px: fewer on devices that take too long. */
const SIDES = [320, 240, 176];
/** Following a frame should take less, ms. */
const FOLLOWING = 9;
/** Between two frames that are followed, ms: more of them only warm the device. */
const FRAME = 28;
/** A picture that moves faster, in shares of its width a second, can't be read: labels go until it is steady. */
const STEADY = 0.9;
/** `pace` wants to know the motion of a frame of this width between frames of so many a second, px. */
const PACE_WIDTH = 96;
const PACE_FRAMES = 30;
/** Rest after a reading that failed; twice as long after each further one, up to the longest, ms. */
const SHORTEST = 500;
const LONGEST = 8000;
/** Between two looks for codes, ms. */
const CODES = 700;
/** A code that isn't seen again for so long is gone, ms. */
const CODE_STAYS = 1500;

/** Where the scene was when a frame was taken. */
interface Place {
  /** From the scene's first frame to the one that was taken, px of the video. */
  total: Homography;
  epoch: number;
}

const HERE: Place = { total: [1, 0, 0, 0, 1, 0, 0, 0, 1], epoch: 0 };

export class Live {
  /** In pixels of the video; none while the picture moves too fast. */
  tracks = $state.raw<Track[]>([]);
  codes = $state.raw<Code[]>([]);
  steady = $state(true);
  /** Readings so far. */
  readings = $state(0);
  /** Why the last reading failed; null where it didn't. */
  failed = $state.raw<OcrError | null>(null);
  /** Bytes of models that are being fetched. */
  models = $state.raw<{ received: number; total: number } | null>(null);

  readonly #video: HTMLVideoElement;
  readonly #known = new Tracks();
  readonly #stop = new AbortController();
  readonly #small = surface();
  readonly #large = surface();
  #flow = new Flow();
  #place = HERE;
  /** Which of SIDES, and how long following took lately, ms. */
  #size = 0;
  #took = 0;
  /** Motion between the last two frames, in shares of the width a second. */
  #speed = 0;
  /** When the last frame was followed, and how long after the one before, ms. */
  #followed = 0;
  #since = FRAME;
  #side = LARGEST;
  #unchanged = 0;
  #texts = "";

  constructor(video: HTMLVideoElement) {
    this.#video = video;
  }

  start(): void {
    this.#follow();
    void this.#readOn();
    void this.#lookForCodes();
  }

  stop(): void {
    this.#stop.abort();
  }

  #frame(context: CanvasRenderingContext2D | null, longest: number): ImageData | null {
    const { videoWidth, videoHeight } = this.#video;
    if (!context || videoWidth === 0) return null;
    const scale = Math.min(1, longest / Math.max(videoWidth, videoHeight));
    const [width, height] = [Math.round(videoWidth * scale), Math.round(videoHeight * scale)];
    if (context.canvas.width !== width) context.canvas.width = width;
    if (context.canvas.height !== height) context.canvas.height = height;
    context.drawImage(this.#video, 0, 0, width, height);
    return context.getImageData(0, 0, width, height);
  }

  #follow(): void {
    const video = this.#video;
    const next = (now: number) => {
      if (this.#stop.signal.aborted) return;
      if (now - this.#followed >= FRAME) {
        this.#since = Math.min(1000, now - this.#followed);
        this.#followed = now;
        this.#track();
      }
      this.#follow();
    };
    if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(next);
    else requestAnimationFrame(next);
  }

  #track(): void {
    const began = performance.now();
    const pixels = this.#frame(this.#small, SIDES[this.#size] ?? 176);
    if (!pixels) return;
    const { total, epoch, speed } = this.#flow.next(grey(pixels.data, pixels.width, pixels.height));
    // As told for the small frame, in pixels of the video.
    const scale = this.#video.videoWidth / pixels.width;
    const enlarge: Homography = [scale, 0, 0, 0, scale, 0, 0, 0, 1];
    const reduce: Homography = [1 / scale, 0, 0, 0, 1 / scale, 0, 0, 0, 1];
    if (epoch !== this.#place.epoch) this.#known.clear();
    this.#place = { total: composed(enlarge, composed(total, reduce)), epoch };
    this.#speed = (1000 * speed) / pixels.width / this.#since;
    this.steady = this.#speed < STEADY;
    this.#show();
    this.#took = 0.9 * this.#took + 0.1 * (performance.now() - began);
    if (this.#took > FOLLOWING && this.#size < SIDES.length - 1) {
      this.#size += 1;
      this.#took = 0;
      // Frames of another size begin anew; labels are read anew at once.
      const { epoch: last } = this.#place;
      this.#flow = new Flow(last + 1);
    }
  }

  /** Whether a place of the scene is in view. */
  #inView(box: Quad): boolean {
    const { videoWidth, videoHeight } = this.#video;
    const [left, top, right, bottom] = bounds(appliedToQuad(this.#place.total, box));
    return left >= 0 && top >= 0 && right <= videoWidth && bottom <= videoHeight;
  }

  #show(): void {
    if (!this.steady) {
      if (this.tracks.length > 0) this.tracks = [];
      return;
    }
    const { videoWidth, videoHeight } = this.#video;
    this.tracks = this.#known.all.flatMap((track) => {
      const box = appliedToQuad(this.#place.total, track.box);
      const [left, top, right, bottom] = bounds(box);
      const seen = right > 0 && bottom > 0 && left < videoWidth && top < videoHeight;
      // Missed by a reading: a ghost, unless it was read often.
      return seen && (track.missed === 0 || track.seen > 3) ? [{ ...track, box }] : [];
    });
  }

  async #readOn(): Promise<void> {
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      const pixels = this.steady ? this.#frame(this.#large, this.#side) : null;
      if (!pixels) {
        await this.#rest(80);
        continue;
      }
      const began = performance.now();
      try {
        await this.#read(pixels);
        failures = 0;
        this.failed = null;
      } catch (thrown) {
        if (isCancelled(thrown)) return;
        // Once may be chance: the next one tells.
        if (failures > 0) this.failed = OcrError.from(thrown);
        this.models = null;
        await this.#rest(Math.min(LONGEST, SHORTEST * 2 ** failures));
        failures += 1;
        continue;
      }
      const { side, rest } = pace(
        this.#side,
        performance.now() - began,
        (PACE_WIDTH * this.#speed) / PACE_FRAMES,
        this.#unchanged,
      );
      this.#side = side;
      await this.#rest(rest * (await thrift()));
    }
  }

  async #read(pixels: ImageData): Promise<void> {
    const scale = this.#video.videoWidth / pixels.width;
    const taken = this.#place;
    const frame: Frame = { data: pixels.data, width: pixels.width, height: pixels.height };
    const answer = await ocr().recognize(frame, {
      requirements: { real_time: true, speed_requirement: "high", language: settings.reads },
      place: "device",
      runOn: settings.runOn,
      alone: true,
      signal: this.#stop.signal,
      onModels: (progress) => (this.models = progress),
      onStarted: () => (this.models = null),
      onFallback: tellFallback,
    });
    this.readings += 1;
    const back = inverted(taken.total);
    // Another scene by now: what was read is of the one before.
    if (!back || taken.epoch !== this.#place.epoch) return;
    const lines = (answer.documents[0]?.lines ?? [])
      .filter(({ text }) => text)
      .map(({ box, text, confidence }): Seen => {
        const onVideo = box.map(([x, y]) => [x * scale, y * scale]) as Quad;
        return { box: appliedToQuad(back, onVideo), text, confidence, ...coloursOf(frame, box) };
      });
    this.#known.update(lines, (box) => this.#inView(box));
    const texts = lines.map(({ text }) => text).join("\n");
    this.#unchanged = texts === this.#texts ? this.#unchanged + 1 : 0;
    this.#texts = texts;
    this.#show();
  }

  async #lookForCodes(): Promise<void> {
    let seen = 0;
    while (!this.#stop.signal.aborted) {
      await this.#rest(CODES);
      const pixels = this.#stop.signal.aborted ? null : this.#frame(this.#large, LARGEST);
      if (!pixels) continue;
      const found = await codesIn(pixels).catch(() => null);
      // Offline, and never fetched: text is read all the same.
      if (!found) return;
      const scale = this.#video.videoWidth / pixels.width;
      const now = performance.now();
      if (found.length > 0) seen = now;
      if (found.length > 0 || now - seen > CODE_STAYS)
        this.codes = found.map(({ text, box }) => ({
          text,
          box: box.map(([x, y]) => [x * scale, y * scale]) as Quad,
        }));
    }
  }

  #rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#stop.signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#stop.signal.addEventListener("abort", done);
    });
  }
}

function surface(): CanvasRenderingContext2D | null {
  return document.createElement("canvas").getContext("2d", { willReadFrequently: true });
}

/** How much longer to rest: a battery that is low lasts longer. */
async function thrift(): Promise<number> {
  const browser = navigator as Navigator & { getBattery?: () => Promise<{ level: number; charging: boolean }> };
  const battery = await browser.getBattery?.().catch(() => null);
  return battery && !battery.charging && battery.level < 0.2 ? 3 : 1;
}
