// Where a picture is read: a pure function of what the person chose, the requirements, the device and the network.

import type { Decision, PlaceChoice, Requirements } from "./types.ts";

export interface Conditions {
  online: boolean;
  /** Whether a server is set up, whether it answered, and whether it wants another key. */
  server: "none" | "down" | "locked" | "up";
  /** The person asked the browser to save data. */
  saveData: boolean;
  /** `slow-2g` to `4g`; null where the browser doesn't say. */
  network: string | null;
  /** Charge from 0 to 1 while unplugged; null when plugged in or unknown. */
  battery: number | null;
  cores: number;
  /** GiB as the browser rounds them; null where it doesn't say. */
  memory: number | null;
  /** Whether this device can get a recogniser for the language. */
  readable: boolean;
}

/** Below this charge reading is left to a server. */
const LOW_BATTERY = 0.2;

/** A person who chooses the device never has a picture sent; `auto` sends one only for a reason. */
export function route(choice: PlaceChoice, requirements: Requirements, conditions: Conditions): Decision {
  const device = (reason: Decision["reason"]): Decision => ({ place: "device", reason });
  const server = (reason: Decision["reason"]): Decision => ({ place: "server", reason });

  if (choice === "device") return device("chosen");
  if (choice === "server") return server("chosen");
  if (!conditions.online) return device("offline");
  if (conditions.server === "none") return device("no_server");
  if (conditions.server === "down") return device("server_down");
  if (conditions.server === "locked") return device("server_key");
  if (!conditions.readable) return server("language_needs_server");
  if (requirements.real_time) return device("real_time");
  if (conditions.saveData) return device("data_saver");
  if (conditions.network?.endsWith("2g")) return device("slow_network");
  if (conditions.battery !== null && conditions.battery < LOW_BATTERY) return server("low_battery");
  if (conditions.cores <= 2 || (conditions.memory !== null && conditions.memory < 2)) return server("weak_device");
  if (requirements.accuracy_requirement === "high") return server("accuracy_needs_server");
  return device("private");
}

interface Connection {
  saveData?: boolean;
  effectiveType?: string;
}

interface Battery {
  level: number;
  charging: boolean;
}

type Browser = Navigator & {
  connection?: Connection;
  deviceMemory?: number;
  getBattery?: () => Promise<Battery>;
};

/** What the browser tells of device and network; the rest is the caller's. */
export async function observe(): Promise<Omit<Conditions, "server" | "readable">> {
  const browser = navigator as Browser;
  const battery = await browser.getBattery?.().catch(() => null);
  return {
    online: browser.onLine,
    saveData: browser.connection?.saveData ?? false,
    network: browser.connection?.effectiveType ?? null,
    battery: battery && !battery.charging ? battery.level : null,
    cores: browser.hardwareConcurrency || 2,
    memory: browser.deviceMemory ?? null,
  };
}
