// The app's words, in English and Chinese, simplified and traditional. A language is fetched when it is wanted.

import { en, type Messages } from "./messages.en.ts";

export const LANGUAGES = { en: "English", "zh-Hans": "简体中文", "zh-Hant": "繁體中文" } as const;

export type Language = keyof typeof LANGUAGES;

const MESSAGES: Record<Language, () => Promise<Messages>> = {
  en: async () => en,
  "zh-Hans": async () => (await import("./messages.zh-hans.ts")).hans,
  "zh-Hant": async () => (await import("./messages.zh-hant.ts")).hant,
};

let current = $state<Language>("en");
let messages = $state.raw<Messages>(en);

/** The language's messages: `t().read.copy`. */
export function t(): Messages {
  return messages;
}

export function language(): Language {
  return current;
}

let wanted = 0;

/** Settings of the first version say `zh`. */
export async function setLanguage(choice: Language | "auto" | "zh"): Promise<void> {
  const turn = ++wanted;
  const next = choice === "auto" ? preferred() : choice === "zh" ? "zh-Hans" : choice;
  // Offline, and never used before: English is always there.
  const found = await MESSAGES[next]().catch(() => en);
  if (turn !== wanted) return;
  [current, messages] = [next, found];
  document.documentElement.lang = next;
  const manifest = document.querySelector<HTMLLinkElement>("link[rel=manifest]");
  if (manifest) manifest.href = next === "en" ? "./manifest.webmanifest" : `./manifest.${next}.webmanifest`;
}

/** The first of the person's languages that there is. */
function preferred(): Language {
  for (const tag of navigator.languages) {
    if (/^en\b/i.test(tag)) return "en";
    if (/^zh\b/i.test(tag)) return /hant|-(tw|hk|mo)\b/i.test(tag) ? "zh-Hant" : "zh-Hans";
  }
  return "en";
}

/** For dates and numbers: the person's own kind of the language, where there is one. */
function locale(): string {
  const [base] = current.split("-");
  const own = navigator.languages.find((tag) => tag.split("-")[0]?.toLowerCase() === base);
  return own ?? current;
}

/** What formats, by kind, language and options: making one takes a browser milliseconds, and a list has a hundred. */
const made = new Map<string, unknown>();

function once<T, O>(Kind: new (locale: string, options: O) => T, of: string, options: NoInfer<O>): T {
  const key = JSON.stringify([Kind.name, of, options]);
  const known = (made.get(key) as T | undefined) ?? new Kind(of, options);
  made.set(key, known);
  return known;
}

const UNITS = [
  ["gigabyte", 1e9],
  ["megabyte", 1e6],
] as const;

export function bytes(count: number): string {
  const [unit, size] = UNITS.find(([, least]) => count >= least) ?? (["kilobyte", 1e3] as const);
  const value = count / size;
  const digits = value < 10 && unit !== "kilobyte" ? 1 : 0;
  const style = { style: "unit", unit, maximumFractionDigits: digits } as const;
  return once(Intl.NumberFormat, locale(), style).format(value);
}

export function seconds(value: number): string {
  const style = { style: "unit", unit: "second", maximumFractionDigits: value < 10 ? 1 : 0 } as const;
  return once(Intl.NumberFormat, locale(), style).format(value);
}

export function percent(share: number): string {
  return once(Intl.NumberFormat, locale(), { style: "percent" }).format(share);
}

export function when(time: number): string {
  return once(Intl.DateTimeFormat, locale(), { dateStyle: "medium", timeStyle: "short" }).format(time);
}

/** As a part of file names, in local time: `2026-03-05 14.07.31`. */
export function timeStamp(time = new Date()): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const day = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join("-");
  return `${day} ${[time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(".")}`;
}

export function languageName(tag: string): string {
  return once(Intl.DisplayNames, current, { type: "language" }).of(tag) ?? tag;
}
