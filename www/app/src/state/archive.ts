// The whole history as one file, to be taken to another device or browser: a zip with `history.json`, and beside it the
// files and thumbnails as they are.

import { OcrError } from "@maoocr/lib";

import { changed } from "./history.svelte.ts";
import * as store from "./store.ts";
import type { Entry, Kept } from "./store.ts";

const VERSION = 1;

interface Manifest {
  maoocr: number;
  entries: (Omit<Entry, "thumbnail"> & { kept: Kept })[];
  files: { id: string; name: string; type: string; path: string }[];
}

/** Most that an archive may unpack to, bytes: it comes from outside. */
const LARGEST = 4e9;

export async function exportAll(only?: Set<string>): Promise<Blob> {
  const { Zip, ZipPassThrough, strToU8 } = await import("fflate");
  const parts: BlobPart[] = [];
  const zip = new Zip((error, data) => {
    if (error) throw error;
    parts.push(data as Uint8Array<ArrayBuffer>);
  });
  const add = (path: string, bytes: Uint8Array) => {
    const file = new ZipPassThrough(path);
    zip.add(file);
    file.push(bytes, true);
  };
  const manifest: Manifest = { maoocr: VERSION, entries: [], files: [] };
  const written = new Set<string>();
  for (const { id } of (await store.entries()).filter((entry) => !only || only.has(entry.id))) {
    const whole = await store.find(id);
    if (!whole) continue;
    const { entry, ...kept } = whole;
    const { thumbnail, ...rest } = entry;
    manifest.entries.push({ ...rest, kept });
    if (thumbnail) add(`thumbnails/${id}`, new Uint8Array(await thumbnail.arrayBuffer()));
    const source = entry.picture ?? entry.file;
    if (written.has(source)) continue;
    written.add(source);
    const file = await store.fileOf(source);
    if (!file) continue;
    const path = `files/${written.size}`;
    manifest.files.push({ id: source, name: file.name, type: file.type, path });
    add(path, new Uint8Array(await file.arrayBuffer()));
  }
  add("history.json", strToU8(JSON.stringify(manifest)));
  zip.end();
  return new Blob(parts, { type: "application/zip" });
}

/** Puts what the archive holds beside what is there; says how many pictures. */
export async function importAll(archive: Blob): Promise<number> {
  const { unzipSync, strFromU8 } = await import("fflate");
  let size = 0;
  const malformed = (why: string) => new OcrError("malformed", why);
  let content: Record<string, Uint8Array>;
  let manifest: Manifest;
  try {
    content = unzipSync(new Uint8Array(await archive.arrayBuffer()), {
      filter: ({ originalSize }) => (size += originalSize) <= LARGEST,
    });
    manifest = JSON.parse(strFromU8(content["history.json"] ?? new Uint8Array())) as Manifest;
  } catch {
    throw malformed("not an archive of a history");
  }
  if (manifest.maoocr !== VERSION || !Array.isArray(manifest.entries) || !Array.isArray(manifest.files))
    throw malformed("an archive of another version");
  let count = 0;
  for (const given of manifest.entries) {
    const { kept, ...entry } = given;
    if (!sound(entry, kept)) throw malformed("an entry of the archive");
    const file = manifest.files.find(({ id }) => id === (entry.picture ?? entry.file));
    const bytes = file && content[file.path];
    const small = content[`thumbnails/${entry.id}`];
    await store.keep(
      { ...entry, thumbnail: small ? new Blob([small as Uint8Array<ArrayBuffer>], { type: "image/webp" }) : null },
      kept,
      bytes ? new Blob([bytes as Uint8Array<ArrayBuffer>], { type: `${file.type}` }) : null,
    );
    count += 1;
  }
  await changed();
  return count;
}

/** What screens rely on. */
function sound(entry: Omit<Entry, "thumbnail">, kept: Kept | undefined): kept is Kept {
  const { document } = kept ?? {};
  return (
    [entry.id, entry.name, entry.file, entry.text].every((value) => typeof value === "string") &&
    Number.isFinite(entry.created) &&
    kept?.id === entry.id &&
    typeof document?.text === "string" &&
    Array.isArray(document.lines) &&
    Array.isArray(document.blocks) &&
    document.lines.every((line) => typeof line.text === "string" && line.box?.length === 4)
  );
}
