// What the person chose; kept in this browser.

import type { Place, PlaceChoice, Requirements, RunOn } from "@maoocr/lib";

import { setLanguage, type Language } from "./i18n.svelte.ts";

export interface Settings {
  mode: "fast" | "accurate";
  /** BCP 47, or `auto`. */
  reads: string;
  document: NonNullable<Requirements["document_type"]>;
  place: PlaceChoice;
  runOn: RunOn;
  theme: "auto" | "light" | "dark";
  language: Language | "auto";
  keepHistory: boolean;
  showConfidence: boolean;
}

const KEY = "maoocr-settings";

const DEFAULTS: Settings = {
  mode: "fast",
  reads: "auto",
  document: "auto",
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
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Settings> & Earlier;
    const { requirements: before, ...rest } = kept;
    return { ...DEFAULTS, ...(before && chosenBefore(before)), ...rest };
  } catch {
    return structuredClone(DEFAULTS);
  }
}

/** What settings of the first version said. */
interface Earlier {
  requirements?: Requirements;
}

function chosenBefore({ accuracy_requirement, language, document_type }: Requirements): Partial<Settings> {
  return {
    mode: accuracy_requirement === "high" ? "accurate" : "fast",
    reads: language ?? "auto",
    document: document_type ?? "auto",
  };
}

/** What the settings ask of a picture's reading. */
export function requirements(): Requirements {
  return asked(settings.mode, settings.reads, settings.document);
}

export function asked(mode: Settings["mode"], reads: string, document: Settings["document"]): Requirements {
  return {
    document_type: document,
    language: reads,
    accuracy_requirement: mode === "accurate" ? "high" : "medium",
    speed_requirement: "medium",
  };
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
  $effect(() => void setLanguage(settings.language));
}
