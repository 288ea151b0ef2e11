// What the first screen needs of files: those that come, and pictures' addresses.

/** A picture's address while something shows it. */
export function shown(blob: Blob): { url: string; free: () => void } {
  const url = URL.createObjectURL(blob);
  return { url, free: () => URL.revokeObjectURL(url) };
}

/** The pictures and PDFs among what was dropped or pasted. */
export function filesOf(data: DataTransfer | null): File[] {
  return [...(data?.files ?? [])];
}
