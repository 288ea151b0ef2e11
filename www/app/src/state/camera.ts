// The camera, and what it offers beyond a picture.

export type Refusal = "refused" | "missing" | "busy" | "insecure" | "ended";

interface Capabilities extends MediaTrackCapabilities {
  torch?: boolean;
  zoom?: { min: number; max: number; step: number };
  focusMode?: string[];
  pointsOfInterest?: unknown;
}

type Extra = MediaTrackConstraintSet & {
  torch?: boolean;
  zoom?: number;
  focusMode?: string;
  pointsOfInterest?: { x: number; y: number }[];
};

export interface Camera {
  stream: MediaStream;
  torch: boolean;
  zoom: { min: number; max: number; step: number } | null;
  set(wanted: { torch?: boolean; zoom?: number }): Promise<void>;
  /** Shares of the picture's width and height; does nothing where the camera can't. */
  focus(x: number, y: number): Promise<void>;
  stop(): void;
}

/** The camera at the back, where there are two; `ended` hears of it when it is unplugged or taken away. */
export async function openCamera(ended: () => void): Promise<Camera> {
  if (!("mediaDevices" in navigator)) throw refusal("insecure");
  let stream: MediaStream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { facingMode: { ideal: "environment" }, width: { ideal: 2560 }, height: { ideal: 1440 } },
    });
  } catch (thrown) {
    const name = thrown instanceof DOMException ? thrown.name : "";
    if (name === "NotAllowedError" || name === "SecurityError") throw refusal("refused");
    throw refusal(name === "NotFoundError" || name === "OverconstrainedError" ? "missing" : "busy");
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
    zoom: can.zoom && can.zoom.max > can.zoom.min ? can.zoom : null,
    set: apply,
    focus: async (x, y) => {
      const focusMode = ["single-shot", "continuous"].find((mode) => can.focusMode?.includes(mode));
      if (!focusMode) return;
      await apply({ focusMode, ...("pointsOfInterest" in can && { pointsOfInterest: [{ x, y }] }) });
    },
    stop: () => stream.getTracks().forEach((one) => one.stop()),
  };
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

/** What the camera sees now, as a file. */
export async function snapshot(video: HTMLVideoElement): Promise<File> {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
  const time = new Date().toISOString().slice(0, 19).replace("T", " ").replaceAll(":", ".");
  return new File([blob], `${time}.jpg`, { type: "image/jpeg" });
}
