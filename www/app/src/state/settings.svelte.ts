// What the person chose; kept in this browser.

import type { Place, PlaceChoice, Requirements, RunOn } from "@maoocr/lib";

import { setLanguage, type Language } from "./i18n.svelte.ts";

export interface Settings {
  requirements: Required<Requirements>;
  place: PlaceChoice;
  runOn: RunOn;
  theme: "auto" | "light" | "dark";
  language: Language | "auto";
  keepHistory: boolean;
  showConfidence: boolean;
}

const KEY = "maoocr-settings";

const DEFAULTS: Settings = {
  requirements: {
    document_type: "auto",
    language: "auto",
    accuracy_requirement: "medium",
    speed_requirement: "medium",
    real_time: false,
    batch_processing: false,
  },
  // Nothing leaves the device unless the person chooses so.
  place: "device" satisfies Place,
  runOn: "auto",
  theme: "auto",
  language: "auto",
  keepHistory: true,
  showConfidence: true,
};

export const settings = $state<Settings>(load());

function load(): Settings {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Settings>;
    return { ...DEFAULTS, ...kept, requirements: { ...DEFAULTS.requirements, ...kept.requirements } };
  } catch {
    return structuredClone(DEFAULTS);
  }
}

/** Keeps changes and shows them; called once, within the app's root. */
export function applySettings(): void {
  $effect(() => {
    try {
      localStorage.setItem(KEY, JSON.stringify(settings));
    } catch {
      // A browser that keeps nothing: the choice holds until the page is closed.
    }
  });
  $effect(() => {
    const root = document.documentElement;
    if (settings.theme === "auto") delete root.dataset["theme"];
    else root.dataset["theme"] = settings.theme;
  });
  $effect(() => setLanguage(settings.language));
}
