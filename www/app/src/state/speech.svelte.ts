// Reading aloud, with the voices of the device.

export const canSpeak = "speechSynthesis" in globalThis;

let speaking = $state(false);

/** Browsers cut off utterances that are too long. */
const LONGEST = 200;

export const speech = {
  get speaking() {
    return speaking;
  },

  say(text: string, language?: string): void {
    speech.stop();
    const parts = (text.match(/[^.!?。！？\n]+[.!?。！？]*/g) ?? []).flatMap(
      (sentence) => sentence.match(new RegExp(`[^]{1,${LONGEST}}`, "g")) ?? [],
    );
    parts.forEach((part, n) => {
      const utterance = new SpeechSynthesisUtterance(part);
      utterance.lang = language && language !== "auto" ? language : guessed(text);
      if (n === parts.length - 1) utterance.onend = () => (speaking = false);
      utterance.onerror = () => (speaking = false);
      speechSynthesis.speak(utterance);
    });
    speaking = parts.length > 0;
  },

  stop(): void {
    if (speaking) speechSynthesis.cancel();
    speaking = false;
  },
};

/** By its script, which tells enough for a voice. */
function guessed(text: string): string {
  if (/[぀-ヿ]/.test(text)) return "ja";
  if (/[가-힣]/.test(text)) return "ko";
  if (/[一-鿿]/.test(text)) return "zh";
  if (/[Ѐ-ӿ]/.test(text)) return "ru";
  return navigator.languages.find((tag) => !/^(zh|ja|ko)/.test(tag)) ?? "en";
}
