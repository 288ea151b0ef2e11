// The camera, and what it offers beyond a picture.

import { timeStamp } from "./i18n.svelte.ts";

export type Refusal = "refused" | "missing" | "unsupported" | "busy" | "insecure" | "ended";

interface Range {
  min: number;
  max: number;
  step: number;
}

interface Capabilities extends MediaTrackCapabilities {
  torch?: boolean;
  zoom?: Range;
  exposureCompensation?: Range;
  focusMode?: string[];
  pointsOfInterest?: unknown;
}

type Extra = MediaTrackConstraintSet & {
  torch?: boolean;
  zoom?: number;
  exposureCompensation?: number;
  focusMode?: string;
  pointsOfInterest?: { x: number; y: number }[];
};

export interface Camera {
  stream: MediaStream;
  torch: boolean;
  zoom: Range | null;
  exposure: Range | null;
  set(wanted: { torch?: boolean; zoom?: number; exposureCompensation?: number }): Promise<void>;
  /** Shares of the picture's width and height; does nothing where the camera can't. */
  focus(x: number, y: number): Promise<void>;
  stop(): void;
}

/** The camera at the back, where there are two; `ended` hears of it when it is unplugged or taken away. */
export async function openCamera(ended: () => void): Promise<Camera> {
  if (!navigator.mediaDevices?.getUserMedia) throw refusal(isSecureContext ? "unsupported" : "insecure");
  let stream: MediaStream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { facingMode: { ideal: "environment" }, width: { ideal: 2560 }, height: { ideal: 1440 } },
    });
  } catch (thrown) {
    const name = thrown instanceof DOMException ? thrown.name : "";
    if (name === "NotAllowedError" || name === "SecurityError") throw refusal("refused");
    if (name === "NotFoundError" || name === "OverconstrainedError") throw refusal("missing");
    // A browser that has no way to a camera, such as WebKit without its plug-ins, fails to open one.
    throw refusal((await cameras()) === 0 ? "missing" : "busy");
  }
  const [track] = stream.getVideoTracks();
  track?.addEventListener("ended", ended);
  const can = (track?.getCapabilities?.() ?? {}) as Capabilities;
  const apply = async (extra: Extra) => {
    await track?.applyConstraints({ advanced: [extra] }).catch(() => undefined);
  };
  return {
    stream,
    torch: can.torch ?? false,
    zoom: wide(can.zoom),
    exposure: wide(can.exposureCompensation),
    set: apply,
    focus: async (x, y) => {
      const focusMode = ["single-shot", "continuous"].find((mode) => can.focusMode?.includes(mode));
      if (!focusMode) return;
      await apply({ focusMode, ...("pointsOfInterest" in can && { pointsOfInterest: [{ x, y }] }) });
    },
    stop: () => stream.getTracks().forEach((one) => one.stop()),
  };
}

function wide(range: Range | undefined): Range | null {
  return range && range.max > range.min ? range : null;
}

/** How many there are; 1 where that can't be known. */
async function cameras(): Promise<number> {
  const devices = await navigator.mediaDevices.enumerateDevices?.().catch(() => null);
  return devices ? devices.filter(({ kind }) => kind === "videoinput").length : 1;
}

function refusal(reason: Refusal): Error & { reason: Refusal } {
  return Object.assign(new Error(reason), { reason });
}

export function reasonOf(thrown: unknown): Refusal {
  return (thrown as { reason?: Refusal }).reason ?? "busy";
}

/** Keeps the screen lit, where the browser can, until the function it returns is called. A hidden page loses it. */
export function keepAwake(): () => void {
  const lock = "wakeLock" in navigator ? navigator.wakeLock.request("screen").catch(() => null) : null;
  return () => void lock?.then((held) => held?.release());
}

/** The parts of the Image Capture API that are used here. */
interface PhotoCapture {
  takePhoto(settings?: { imageWidth?: number; imageHeight?: number }): Promise<Blob>;
  getPhotoCapabilities?(): Promise<{ imageWidth?: { max: number }; imageHeight?: { max: number } }>;
}

declare const ImageCapture: (new (track: MediaStreamTrack) => PhotoCapture) | undefined;

/** A camera that doesn't take a photo within this time never will, ms. */
const PATIENCE = 6000;

/** A picture of the sensor's full resolution, where the browser can; else what the video shows. */
export async function snapshot(video: HTMLVideoElement): Promise<File> {
  const blob = (await photo(video)) ?? (await still(video));
  return new File([blob], `${timeStamp()}.jpg`, { type: blob.type || "image/jpeg" });
}

async function photo(video: HTMLVideoElement): Promise<Blob | null> {
  const [track] = (video.srcObject as MediaStream | null)?.getVideoTracks() ?? [];
  if (!track || video.paused || typeof ImageCapture !== "function") return null;
  const capture = new ImageCapture(track);
  const late = new Promise<null>((done) => setTimeout(() => done(null), PATIENCE));
  const taken = async (): Promise<Blob | null> => {
    const can = await capture.getPhotoCapabilities?.().catch(() => null);
    const [imageWidth, imageHeight] = [can?.imageWidth?.max, can?.imageHeight?.max];
    // Not all that a camera says it can is so.
    const blob = await capture
      .takePhoto(imageWidth && imageHeight ? { imageWidth, imageHeight } : {})
      .catch(() => capture.takePhoto());
    const bitmap = await createImageBitmap(blob);
    const larger = bitmap.width * bitmap.height >= video.videoWidth * video.videoHeight;
    bitmap.close();
    return larger ? blob : null;
  };
  return Promise.race([taken().catch(() => null), late]);
}

async function still(video: HTMLVideoElement): Promise<Blob> {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
}
