// The one way to have a picture read: here or on a server, as the person chose.

import { OcrError } from "./errors.ts";
import { ModelStore, type ModelFile } from "./models.ts";
import { EnginePool, poolSize } from "./pool.ts";
import { RemoteClient, type RemoteOptions } from "./remote.ts";
import { observe, route, type Conditions } from "./route.ts";
import type { Answer, Decision, Frame, Picture, PlaceChoice, RecognizeCall, Requirements } from "./types.ts";

export interface ClientOptions {
  /** Address of the app; `models.json` and `models/` lie beneath it. */
  base: URL;
  createWorker: () => Worker;
  /** None: pictures can't leave the device. */
  remote?: RemoteOptions;
}

export interface ClientCall extends RecognizeCall {
  place?: PlaceChoice;
}

/** A server's answer to the health check is believed for so long, ms. */
const HEALTH_AGE = 60_000;

export class OcrClient {
  readonly models: ModelStore;
  /** Engines that run side by side at most. */
  readonly workers: number;
  readonly #pool: EnginePool;
  readonly #remote: RemoteClient | null;
  #health: { at: number; up: Promise<boolean> } | null = null;

  constructor({ base, createWorker, remote }: ClientOptions) {
    this.models = new ModelStore(base);
    const thrift = () => {
      const browser = navigator as Navigator & { deviceMemory?: number; connection?: { saveData?: boolean } };
      return { saveData: browser.connection?.saveData ?? false, memory: browser.deviceMemory ?? null };
    };
    this.workers = poolSize(navigator.hardwareConcurrency, thrift().memory);
    this.#pool = new EnginePool({ models: this.models, createWorker, size: this.workers, thrift });
    this.#remote = remote ? new RemoteClient(remote) : null;
  }

  /** Starts an engine before it is needed. */
  warm(): Promise<void> {
    return this.#pool.warm();
  }

  /** Where a picture would be read now, and why. */
  async decide(requirements: Requirements, choice: PlaceChoice): Promise<Decision> {
    // Nothing is asked of a server that the person didn't choose.
    if (choice !== "auto") return route(choice, requirements, UNASKED);
    const [seen, server, readable] = await Promise.all([observe(), this.#server(), this.#readable(requirements)]);
    return route(choice, requirements, { ...seen, server, readable });
  }

  async recognize(picture: Picture, call: ClientCall = {}): Promise<Answer> {
    const decision = await this.decide(call.requirements ?? {}, call.place ?? "device");
    if (decision.place === "device") return { documents: await this.#pool.recognize(picture, call), decision };
    if (!this.#remote) throw new OcrError("network", "no server is set up");
    try {
      return { documents: await this.#remote.recognize(picture, call), decision };
    } catch (thrown) {
      if (call.place !== "auto" || OcrError.from(thrown).code !== "network") throw thrown;
      // It was up a moment ago: the device can do it too.
      this.#health = { at: Date.now(), up: Promise.resolve(false) };
      const documents = await this.#pool.recognize(picture, call);
      return { documents, decision: { place: "device", reason: "server_down" } };
    }
  }

  /** The pages of a file as pixels, for what the browser itself can't show. */
  pages(file: Blob): Promise<Frame[]> {
    return this.#pool.pages(file);
  }

  /** Ends the engines and frees their memory. */
  reset(): void {
    this.#pool.reset();
  }

  async #server(): Promise<Conditions["server"]> {
    if (!this.#remote) return "none";
    if (!this.#health || Date.now() - this.#health.at > HEALTH_AGE) {
      this.#health = { at: Date.now(), up: this.#remote.healthy() };
    }
    return (await this.#health.up) ? "up" : "down";
  }

  async #readable({ language }: Requirements): Promise<boolean> {
    if (!language || language === "auto") return true;
    const files = await this.models.files().catch(() => []);
    return canRead(files, language);
  }
}

const UNASKED: Conditions = {
  online: true,
  server: "none",
  saveData: false,
  network: null,
  battery: null,
  cores: 2,
  memory: null,
  readable: true,
};

/** Whether one of these files is a recogniser for the BCP 47 tag. */
export function canRead(files: ModelFile[], tag: string): boolean {
  return files.some(
    (file) =>
      file.task === "recognition" && file.languages.some((known) => known === tag || known.startsWith(`${tag}-`)),
  );
}
