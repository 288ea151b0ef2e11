// The page's side of the worker that finds sheets of paper and makes them flat.

import { OcrError } from "./errors.ts";
import type { Look } from "./flatten.ts";
import type { Frame, Quad } from "./types.ts";

export type SheetRequest =
  /** In a small picture; the answer is in its px. */
  | { kind: "look"; frame: Frame }
  /** In a photo; the answer is in its px. */
  | { kind: "find"; photo: Blob }
  | { kind: "flatten"; photo: Blob; quad: Quad | null; quarters: number; look: Look };

/** A sheet made flat. */
export interface FlatSheet {
  picture: Blob;
  /** px */
  width: number;
  /** px */
  height: number;
}

export interface ToSheets {
  id: number;
  request: SheetRequest;
}

export type FromSheets = { id: number; value: Quad | FlatSheet | null } | { id: number; failure: string };

export class Sheets {
  readonly #worker: Worker;
  readonly #calls = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  #next = 1;

  constructor(create: () => Worker) {
    this.#worker = create();
    this.#worker.onmessage = ({ data }: MessageEvent<FromSheets>) => {
      const call = this.#calls.get(data.id);
      this.#calls.delete(data.id);
      if ("value" in data) call?.resolve(data.value as never);
      else call?.reject(new OcrError("out_of_memory", data.failure));
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      for (const { reject } of this.#calls.values()) reject(new OcrError("worker_lost", event.message));
      this.#calls.clear();
    };
  }

  /** The sheet in a small picture, px of it; null where there is none. */
  look(frame: Frame): Promise<Quad | null> {
    return this.#call({ kind: "look", frame }, [frame.data.buffer as ArrayBuffer]);
  }

  /** The sheet in a photo, px of it. */
  find(photo: Blob): Promise<Quad | null> {
    return this.#call({ kind: "find", photo });
  }

  /** Makes the sheet flat and clean, turned clockwise by quarters; without corners the whole photo. */
  flatten(photo: Blob, quad: Quad | null, quarters: number, look: Look): Promise<FlatSheet> {
    return this.#call({ kind: "flatten", photo, quad, quarters, look });
  }

  end(): void {
    this.#worker.terminate();
    for (const { reject } of this.#calls.values()) reject(new OcrError("cancelled", "ended"));
    this.#calls.clear();
  }

  #call<T>(request: SheetRequest, transfer: Transferable[] = []): Promise<T> {
    const id = this.#next++;
    return new Promise<T>((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      this.#worker.postMessage({ id, request } satisfies ToSheets, transfer);
    });
  }
}
