// One kind of error for everything that can go wrong: a stable code for programs, a message for people.

/** The engine's codes, the server's, and those of this client: `network`, `server`, `worker_lost`, `storage_full`,
 * `models_unavailable`, `unreadable`; of PDFs `password_required`, `password_wrong`. */
export class OcrError extends Error {
  override readonly name = "OcrError";
  readonly code: string;
  /** After how many s a server takes another try; null where it says nothing of it. */
  readonly retryAfter: number | null;

  constructor(code: string, message: string, retryAfter: number | null = null) {
    super(message);
    this.code = code;
    this.retryAfter = retryAfter;
  }

  /** Of what was thrown, whatever it is. */
  static from(thrown: unknown): OcrError {
    if (thrown instanceof OcrError) return thrown;
    if (thrown instanceof DOMException && thrown.name === "AbortError") return cancelled();
    if (thrown instanceof DOMException && thrown.name === "QuotaExceededError") {
      return new OcrError("storage_full", thrown.message);
    }
    // A file that was moved or changed since it was chosen.
    if (thrown instanceof DOMException && /^Not(Readable|Found)Error$/.test(thrown.name)) {
      return new OcrError("unreadable", thrown.message);
    }
    if (thrown instanceof Error) {
      const code = (thrown as Error & { code?: unknown }).code;
      return new OcrError(typeof code === "string" ? code : "internal", thrown.message);
    }
    return new OcrError("internal", String(thrown));
  }
}

export function cancelled(): OcrError {
  return new OcrError("cancelled", "cancelled");
}

export function isCancelled(thrown: unknown): boolean {
  return OcrError.from(thrown).code === "cancelled";
}

/** What comes of it, or `cancelled` as soon as the signal says so. */
export function unless<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(cancelled());
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
