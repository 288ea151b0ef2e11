// What another window shows, as a picture.

import { t, timeStamp } from "./i18n.svelte.ts";
import { notify } from "./notices.svelte.ts";

/** Phones have none. */
export const canCapture = Boolean(globalThis.navigator?.mediaDevices && "getDisplayMedia" in navigator.mediaDevices);

/** One frame of what the person chooses; null where they choose nothing. */
export async function captured(): Promise<File | null> {
  let stream: MediaStream | null = null;
  try {
    stream = await navigator.mediaDevices.getDisplayMedia({ video: true, audio: false });
    const video = document.createElement("video");
    video.muted = true;
    video.srcObject = stream;
    await video.play();
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    canvas.getContext("2d")?.drawImage(video, 0, 0);
    const blob = await canvas.convertToBlob({ type: "image/png" });
    return new File([blob], `${timeStamp()}.png`, { type: "image/png" });
  } catch (thrown) {
    const refused = thrown instanceof DOMException && thrown.name === "NotAllowedError";
    if (!refused) notify(t().home.screenFailed);
    return null;
  } finally {
    for (const track of stream?.getTracks() ?? []) track.stop();
  }
}
