// The app's words, in English and Chinese.

import { en, type Messages } from "./messages.en.ts";
import { zh } from "./messages.zh.ts";

export type Language = "en" | "zh";

const MESSAGES: Record<Language, Messages> = { en, zh };

let current = $state<Language>("en");

/** The language's messages: `t().read.copy`. */
export function t(): Messages {
  return MESSAGES[current];
}

export function language(): Language {
  return current;
}

export function setLanguage(choice: Language | "auto"): void {
  current = choice === "auto" ? preferred() : choice;
  document.documentElement.lang = current === "zh" ? "zh-Hans" : "en";
}

function preferred(): Language {
  return navigator.languages.find((tag) => /^(zh|en)\b/i.test(tag))?.startsWith("zh") ? "zh" : "en";
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
  return new Intl.NumberFormat(current, style).format(value);
}

export function seconds(value: number): string {
  const style = { style: "unit", unit: "second", maximumFractionDigits: value < 10 ? 1 : 0 } as const;
  return new Intl.NumberFormat(current, style).format(value);
}

export function percent(share: number): string {
  return new Intl.NumberFormat(current, { style: "percent" }).format(share);
}

export function when(time: number): string {
  return new Intl.DateTimeFormat(current, { dateStyle: "medium", timeStyle: "short" }).format(time);
}
