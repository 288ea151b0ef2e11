// Live reading: a frame is read now and then, in between boxes follow the picture's motion.

import {
  grey,
  isCancelled,
  LARGEST,
  OcrError,
  pace,
  shift,
  Tracks,
  type Frame,
  type Grey,
  type Track,
} from "@maoocr/lib";

import { ocr } from "./client.ts";
import { tellFallback } from "./errors.ts";
import { settings } from "./settings.svelte.ts";

/** Longest side of the frames that motion is sought in, px. */
const SMALL = 112;
/** Below this share of agreeing patches the picture is another one, not a moved one. */
const CERTAIN = 0.4;
/** Rest after a reading that failed; twice as long after each further one, up to the longest, ms. */
const SHORTEST = 500;
const LONGEST = 8000;

export class Live {
  /** In pixels of the video. */
  tracks = $state.raw<Track[]>([]);
  /** Readings so far. */
  readings = $state(0);
  /** Why the last reading failed; null where it didn't. */
  failed = $state.raw<OcrError | null>(null);
  /** Bytes of models that are being fetched. */
  models = $state.raw<{ received: number; total: number } | null>(null);

  readonly #video: HTMLVideoElement;
  readonly #known = new Tracks();
  readonly #stop = new AbortController();
  readonly #small: CanvasRenderingContext2D | null;
  readonly #large: CanvasRenderingContext2D | null;
  #before: Grey | null = null;
  /** The picture's motion since the start, px of the video. */
  #moved = { x: 0, y: 0 };
  /** Length of the last motion, px of the small frame. */
  #speed = 0;
  #side = LARGEST;
  #unchanged = 0;
  #texts = "";

  constructor(video: HTMLVideoElement) {
    this.#video = video;
    const context = () => document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    this.#small = context();
    this.#large = context();
  }

  start(): void {
    this.#follow();
    void this.#readOn();
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
    const next = () => {
      if (this.#stop.signal.aborted) return;
      this.#track();
      this.#follow();
    };
    if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(next);
    else requestAnimationFrame(next);
  }

  #track(): void {
    const pixels = this.#frame(this.#small, SMALL);
    if (!pixels) return;
    const now = grey(pixels.data, pixels.width, pixels.height);
    const before = this.#before;
    this.#before = now;
    if (!before || before.width !== now.width || before.height !== now.height) return;
    const { x, y, certainty } = shift(before, now);
    if (certainty < CERTAIN) return;
    this.#speed = Math.hypot(x, y);
    const scale = this.#video.videoWidth / now.width;
    const [dx, dy] = [x * scale, y * scale];
    if (dx === 0 && dy === 0) return;
    this.#moved = { x: this.#moved.x + dx, y: this.#moved.y + dy };
    this.#known.move(dx, dy);
    this.tracks = this.#shown();
  }

  async #readOn(): Promise<void> {
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      const pixels = this.#frame(this.#large, this.#side);
      if (!pixels) {
        await this.#rest(100);
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
      const { side, rest } = pace(this.#side, performance.now() - began, this.#speed, this.#unchanged);
      this.#side = side;
      await this.#rest(rest);
    }
  }

  async #read(pixels: ImageData): Promise<void> {
    const scale = this.#video.videoWidth / pixels.width;
    const taken = this.#moved;
    const frame: Frame = { data: pixels.data, width: pixels.width, height: pixels.height };
    const answer = await ocr().recognize(frame, {
      requirements: { real_time: true, speed_requirement: "high", language: settings.requirements.language },
      place: "device",
      runOn: settings.runOn,
      alone: true,
      signal: this.#stop.signal,
      onModels: (progress) => (this.models = progress),
      onStarted: () => (this.models = null),
      onFallback: tellFallback,
    });
    const lines = (answer.documents[0]?.lines ?? []).map((line) => ({
      ...line,
      box: line.box.map(([x, y]) => [x * scale, y * scale]) as typeof line.box,
    }));
    this.#known.update(lines, this.#moved.x - taken.x, this.#moved.y - taken.y);
    const texts = lines.map(({ text }) => text).join("\n");
    this.#unchanged = texts === this.#texts ? this.#unchanged + 1 : 0;
    this.#texts = texts;
    this.readings += 1;
    this.tracks = this.#shown();
  }

  /** Copies: the list must be another one for its change to be seen. */
  #shown(): Track[] {
    return this.#known.all.map((track) => ({ ...track }));
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
