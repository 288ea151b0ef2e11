// What the first screen needs of files: those that come, and pictures' addresses.

/** Most pictures that have an address without being shown. */
const IDLE = 60;
/** Largest of them, bytes: an address keeps its picture. */
const SMALL = 200_000;
/** Pictures' addresses, those shown last at the end, with how many show them. */
const addresses = new Map<Blob, { url: string; uses: number }>();

/** A picture's address while something shows it. Shown again soon, it has the same: browsers keep by address what they
 * decoded, and would keep it once for each. */
export function shown(blob: Blob): { url: string; free: () => void } {
  const place = addresses.get(blob) ?? { url: URL.createObjectURL(blob), uses: 0 };
  addresses.delete(blob);
  addresses.set(blob, place);
  place.uses += 1;
  const free = () => {
    place.uses -= 1;
    for (const [other, { url, uses }] of addresses) {
      if (uses > 0 || (other.size <= SMALL && addresses.size <= IDLE)) continue;
      addresses.delete(other);
      URL.revokeObjectURL(url);
    }
  };
  return { url: place.url, free };
}

/** The pictures and PDFs among what was dropped or pasted. */
export function filesOf(data: DataTransfer | null): File[] {
  return [...(data?.files ?? [])];
}
