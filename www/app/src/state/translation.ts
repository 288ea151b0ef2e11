// Translation by the browser itself, on the device, where it can.

export type Progress = (share: number) => void;

interface Availability {
  sourceLanguage: string;
  targetLanguage: string;
}

interface Translating {
  translate(text: string): Promise<string>;
  destroy?(): void;
}

interface Monitor {
  addEventListener(name: "downloadprogress", heard: (event: { loaded: number }) => void): void;
}

/** https://developer.mozilla.org/docs/Web/API/Translator_and_Language_Detector_APIs */
declare const Translator:
  | {
      availability(pair: Availability): Promise<"unavailable" | "downloadable" | "downloading" | "available">;
      create(options: Availability & { monitor?: (monitor: Monitor) => void }): Promise<Translating>;
    }
  | undefined;

declare const LanguageDetector:
  | { create(): Promise<{ detect(text: string): Promise<{ detectedLanguage: string; confidence: number }[]> }> }
  | undefined;

export const canTranslate = "Translator" in globalThis;

/** Languages that are offered to translate into; the person's own come first. */
export const TARGETS = ["en", "zh", "zh-Hant", "es", "fr", "de", "pt", "it", "ja", "ko", "ru", "ar", "hi"];

/** Less text than this a detector only guesses at. */
const LEAST = 12;

/** The language of a text: as it was read, else as the browser tells. */
export async function languageOf(text: string, read: string): Promise<string | null> {
  if (read !== "auto") return read;
  if (typeof LanguageDetector === "undefined" || text.length < LEAST) return null;
  try {
    const [first] = await (await LanguageDetector.create()).detect(text.slice(0, 2000));
    return first && first.confidence > 0.5 ? first.detectedLanguage : null;
  } catch {
    return null;
  }
}

/** Null where the browser can't translate between these. */
export async function translated(text: string, from: string, to: string, told: Progress): Promise<string | null> {
  if (typeof Translator === "undefined") return null;
  const pair = { sourceLanguage: from, targetLanguage: to };
  if ((await Translator.availability(pair)) === "unavailable") return null;
  const translator = await Translator.create({
    ...pair,
    monitor: (monitor) => monitor.addEventListener("downloadprogress", ({ loaded }) => told(loaded)),
  });
  try {
    // Paragraph by paragraph: they stay apart, and none is too long.
    const parts: string[] = [];
    for (const part of text.split(/(\n{2,})/))
      parts.push(part.trim() ? await translator.translate(part.replaceAll("\n", " ")) : part);
    return parts.join("");
  } finally {
    translator.destroy?.();
  }
}
