// Larger models than the bundled ones, which the person's server offers: fetched where that was chosen, kept on the device
// under their hash.

import { OcrError, type ModelFile } from "@maoocr/lib";

import { ocr } from "./client.ts";
import type { Settings } from "./settings.ts";

type Larger = NonNullable<Settings["larger"]>;

/** Of what a server may say; what it says is used as addresses and sizes. */
const SHA256 = /^[0-9a-f]{64}$/;
const LARGEST = 100e6;

/** What a server offers that isn't bundled.
 * @throws OcrError `models_unavailable`: nothing */
export async function offeredBy(server: string): Promise<Larger> {
  const [offered, bundled] = await Promise.all(
    [server, chrome.runtime.getURL("")].map((base) => filesOf(new URL("models.json", base))),
  );
  const own = new Set(bundled?.map(({ name }) => name));
  const files = (offered ?? []).filter((file) => !own.has(file.name));
  if (!files.some(({ task, tier }) => task === "recognition" && tier === "small")) {
    throw new OcrError("models_unavailable", "the server offers no models");
  }
  return { server, files };
}

async function filesOf(address: URL): Promise<ModelFile[]> {
  const response = await fetch(address, { signal: AbortSignal.timeout(10_000) });
  if (!response.ok) return [];
  const { models } = (await response.json().catch(() => ({}))) as { models?: unknown };
  return Array.isArray(models) ? models.filter(isFile) : [];
}

function isFile(value: unknown): value is ModelFile {
  const { name, file, task, tier, bytes, sha256, languages, dictionary } = (value ?? {}) as Partial<ModelFile>;
  return (
    [name, file, task].every((text) => typeof text === "string" && /^[\w.-]+$/.test(text)) &&
    (tier === null || typeof tier === "string") &&
    Number.isInteger(bytes) &&
    (bytes ?? 0) <= LARGEST &&
    SHA256.test(sha256 ?? "") &&
    Array.isArray(languages) &&
    (dictionary === null || typeof dictionary === "string")
  );
}

/** Brings those to the device that read most; the others come when their language is wanted. */
export async function fetchLarger(larger: Larger, told: (received: number, of: number) => void): Promise<void> {
  const wanted = larger.files.filter(({ task, tier }) => tier === "small" && /^(detection|recognition)$/.test(task));
  const dictionaries = wanted.flatMap(({ dictionary }) => dictionary ?? []);
  const { models } = ocr({ server: "", key: "", larger });
  await models.ensure([...new Set([...wanted.map(({ name }) => name), ...dictionaries])], ({ received, total }) =>
    told(received, total),
  );
  if (models.full) throw new OcrError("quota", "there is no room for them on this device");
}

/** Gives their room back. */
export async function forgetLarger(larger: Larger): Promise<void> {
  await ocr({ server: "", key: "", larger }).models.remove(larger.files.map(({ name }) => name));
}
