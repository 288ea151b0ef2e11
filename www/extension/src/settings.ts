// What the person chose; kept by the browser, on this device.

import type { PlaceChoice, Requirements } from "@maoocr/lib";

export interface Settings {
  /** BCP 47, or `auto`. */
  language: string;
  accurate: boolean;
  /** Puts the text of a part of the screen onto the clipboard at once. */
  copy: boolean;
  keepHistory: boolean;
  theme: "auto" | "light" | "dark";
  place: PlaceChoice;
  /** Address of the person's own server; empty: there is none. */
  server: string;
  /** Its key, if it wants one. */
  key: string;
}

export const DEFAULTS: Settings = {
  language: "auto",
  accurate: false,
  copy: false,
  keepHistory: true,
  theme: "auto",
  place: "device",
  server: "",
  key: "",
};

export async function loadSettings(): Promise<Settings> {
  const kept = await chrome.storage.local.get(Object.keys(DEFAULTS));
  return { ...DEFAULTS, ...kept } as Settings;
}

export async function saveSettings(changed: Partial<Settings>): Promise<void> {
  await chrome.storage.local.set(changed);
}

export function requirementsOf({ language, accurate }: Settings): Requirements {
  return {
    ...(language !== "auto" && { language }),
    ...(accurate && { accuracy_requirement: "high" as const }),
  };
}
