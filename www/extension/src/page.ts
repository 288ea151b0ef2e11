// What the extension's own pages have in common.

import "./page.css";
import { loadSettings, type Settings } from "./settings.ts";

export function text(name: string, ...values: (string | number)[]): string {
  return chrome.i18n.getMessage(name, values.map(String));
}

export function useTheme(theme: Settings["theme"]): void {
  document.documentElement.style.colorScheme = theme === "auto" ? "light dark" : theme;
}

/** Before anything is shown: the page's language and theme. */
export async function begin(): Promise<void> {
  document.documentElement.lang = text("lang");
  useTheme((await loadSettings()).theme);
}
