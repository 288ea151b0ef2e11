// What the person chose; kept by the browser, on this device.

import type { ModelFile, PlaceChoice, Requirements } from "@maoocr/lib";

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
  /** Models of the server that are kept on this device, and read with here; null: none. */
  larger: { server: string; files: ModelFile[] } | null;
  /** Hosts where nothing is read, nor on those below them. */
  sitesOff: string[];
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
  larger: null,
  sitesOff: [],
};

export async function loadSettings(): Promise<Settings> {
  const kept = await chrome.storage.local.get(Object.keys(DEFAULTS));
  return { ...DEFAULTS, ...kept } as Settings;
}

export async function saveSettings(changed: Partial<Settings>): Promise<void> {
  await chrome.storage.local.set(changed);
}

/** The site in the list that keeps the extension off a page. */
export function siteOff({ sitesOff }: Settings, host: string): string | null {
  return sitesOff.find((site) => host === site || host.endsWith(`.${site}`)) ?? null;
}

/** The host that an address, or what a person typed, is of. */
export function hostOf(address: string): string | null {
  try {
    const { protocol, hostname } = new URL(/^[a-z][\w+.-]*:\/\//i.test(address) ? address : `https://${address}`);
    // Chromium takes spaces in a host for what they are escaped to.
    return /^https?:$/.test(protocol) && /^(\[[\da-f:.]+\]|[\w.-]+)$/.test(hostname) ? hostname : null;
  } catch {
    return null;
  }
}

/** Hosts that have no certificate: what a person types without `https://` is this device. */
const LOCAL = /^(localhost|127(\.\d+){3}|\[::1\])(?=[:/?#]|$)/i;

/** The address of a server as a person typed it, completed; else the name of the message that says what is wrong with it. */
export function serverOf(typed: string): URL | string {
  const words = typed.trim();
  const scheme = /^([a-z][\w+.-]*):\/\//i.exec(words)?.[1]?.toLowerCase();
  if (scheme && !/^https?$/.test(scheme)) return "serverScheme";
  const whole = scheme ? words : `${LOCAL.test(words) ? "http" : "https"}://${words}`;
  if (!URL.canParse(whole) || !hostOf(whole)) return "serverInvalid";
  const url = new URL(whole);
  if (url.username || url.password) return "serverUser";
  if (url.search || url.hash || /[?#]/.test(words)) return "serverQuery";
  url.pathname = url.pathname.replace(/\/*$/, "/");
  return url;
}

/** The match pattern of an address; null where no extension may ask for it. */
export function originOf(address: string): string | null {
  const { protocol, hostname } = new URL(address);
  return /^https?:$/.test(protocol) ? `${protocol}//${hostname}/*` : null;
}

export function requirementsOf({ language, accurate }: Settings): Requirements {
  return {
    ...(language !== "auto" && { language }),
    ...(accurate && { accuracy_requirement: "high" as const }),
  };
}
