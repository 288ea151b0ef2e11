// Chrome's home of the engine.

import { OcrError } from "@maoocr/lib";

import { hostEngine } from "./engine.ts";

hostEngine(async (message) => {
  const { value, error } = (await chrome.runtime.sendMessage(message)) as { value?: unknown; error?: string };
  if (error) throw new OcrError("unreadable", error);
  return value;
});
