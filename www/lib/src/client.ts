// The one way to have a picture read: here or on a server, as the person chose.

import { Documents, type PdfFile } from "./documents.ts";
import { isCancelled, OcrError } from "./errors.ts";
import { drawSpecimen, Gpu, type GpuOptions } from "./gpu.ts";
import { ModelStore, type ModelFile, type MoreModels } from "./models.ts";
import { offered, type Thrift } from "./offer.ts";
import { EnginePool, poolSize } from "./pool.ts";
import { RemoteClient, type RemoteOptions } from "./remote.ts";
import { observe, route, type Conditions } from "./route.ts";
import type {
  Answer,
  Decision,
  Document,
  Frame,
  GpuState,
  PageRead,
  Picture,
  PlaceChoice,
  Reason,
  RecognizeCall,
  Requirements,
  Runner,
  RunOn,
} from "./types.ts";

export interface ClientOptions {
  /** Address of the app; `models.json` and `models/` lie beneath it. */
  base: URL;
  /** Models that another site offers. */
  more?: MoreModels;
  createWorker: () => Worker;
  /** Of the module for documents. None: there is none. */
  createDocuments?: () => Worker;
  /** None: pictures can't leave the device. */
  remote?: RemoteOptions;
  /** None: there is no module for GPUs. */
  gpu?: GpuOptions;
}

export interface ClientCall extends RecognizeCall {
  place?: PlaceChoice;
  /** Default: `auto`. */
  runOn?: RunOn;
}

/** What the device would say of the picture, too, and what the person said. */
const PICTURES_FAULT = new Set([
  "empty",
  "unknown_format",
  "unsupported",
  "truncated",
  "malformed",
  "too_many_pixels",
  "too_many_pages",
  "cancelled",
]);
/** Every picture would be refused. */
const KEYS_FAULT = new Set(["key_missing", "key_invalid", "scope_missing"]);
/** A server's answer to the health check is believed for so long, ms. */
const HEALTH_AGE = 60_000;
/** So long nothing is read before GPU and CPU are compared, ms. */
const LEISURE = 3000;

export class OcrClient {
  readonly models: ModelStore;
  /** PDFs, structure and exports. */
  readonly documents: Documents;
  /** Engines that run side by side at most. */
  readonly workers: number;
  readonly #pool: EnginePool;
  readonly #remote: RemoteClient | null;
  readonly #gpu: Gpu | null;
  readonly #thrift: () => Thrift;
  /** Readings under way. */
  #busy = 0;
  /** Of a comparison, or of the wait for one. */
  #leisure = new AbortController();
  /** Why the GPU that was asked for isn't used: what was told. */
  #told: GpuState | null = null;
  /** Whether the server wants another key, which would be another client's. */
  #locked = false;
  #health: { at: number; up: Promise<boolean> } | null = null;

  constructor({ base, more, createWorker, createDocuments, remote, gpu }: ClientOptions) {
    this.models = new ModelStore(base, undefined, more);
    this.documents = new Documents(() => {
      if (!createDocuments) throw new OcrError("unsupported", "there is no module for documents");
      return createDocuments();
    });
    this.#thrift = () => {
      const browser = navigator as Navigator & { deviceMemory?: number; connection?: { saveData?: boolean } };
      return { saveData: browser.connection?.saveData ?? false, memory: browser.deviceMemory ?? null };
    };
    this.workers = poolSize(navigator.hardwareConcurrency, this.#thrift().memory);
    const pool = (create: () => Worker, size: number) =>
      new EnginePool({
        models: this.models,
        createWorker: create,
        size,
        offer: (models, requirements) => offered(models, requirements, this.#thrift()),
      });
    this.#pool = pool(createWorker, this.workers);
    this.#remote = remote ? new RemoteClient(remote) : null;
    this.#gpu = gpu ? new Gpu(gpu, this.#pool, (create) => pool(create, 1)) : null;
  }

  /** What the engines' modules on the CPU take, bytes. */
  get memory(): number {
    return this.#pool.memory;
  }

  /** Starts an engine before it is needed. */
  async warm(runOn: RunOn): Promise<void> {
    await (await this.#engines(runOn)).warm();
  }

  /** Brings the models to the device that pictures with these requirements need; not where data are to be saved. Says
   * whether they are here. */
  async stock(requirements: Requirements, runOn: RunOn): Promise<boolean> {
    if (this.#thrift().saveData) return false;
    await (await this.#engines(runOn)).stock(requirements);
    return !this.models.full;
  }

  /** Reads a little print that nobody sees, so that the person's first picture doesn't wait for the browser to optimise
   * the engine. Models must be here. */
  async rehearse(requirements: Requirements, runOn: RunOn): Promise<void> {
    if (this.#busy > 0) return;
    const engines = await this.#engines(runOn);
    if (this.#busy === 0) await engines.rehearse(await drawSpecimen(2), { requirements });
  }

  async #engines(runOn: RunOn): Promise<EnginePool> {
    return (await this.#gpu?.engines(runOn)) ?? this.#pool;
  }

  /** Which GPU the browser has, and whether it reads. */
  async gpu(runOn: RunOn): Promise<{ name: string | null; state: GpuState }> {
    const adapter = await this.#gpu?.adapter();
    return { name: adapter?.name ?? null, state: (await this.#gpu?.state(runOn)) ?? "missing" };
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
    if (decision.place === "device") return this.#here(picture, call, decision);
    if (!this.#remote) throw new OcrError("network", "no server is set up");
    if (call.place !== "auto") return { documents: await this.#remote.recognizePatiently(picture, call), decision };
    try {
      return { documents: await this.#remote.recognize(picture, call), decision };
    } catch (thrown) {
      const { code } = OcrError.from(thrown);
      if (PICTURES_FAULT.has(code) || decision.reason === "language_needs_server") throw thrown;
      return this.#here(picture, call, { place: "device", reason: this.#refused(code) });
    }
  }

  /** Reads a page of a PDF: its text layer where that says what is seen, else what is seen. */
  async readPage(pdf: PdfFile, index: number, call: ClientCall = {}): Promise<Answer> {
    const began = performance.now();
    let decision: Decision = { place: "device", reason: "text_layer" };
    const readPicture = async (frame: Frame, whole: boolean): Promise<Document> => {
      const { requirements, signal, place, runOn, alone, onModels, onStarted, onFallback } = call;
      // What is found in a picture on the page has places of its own.
      const quiet = { requirements, signal, place, runOn, alone, onModels, onStarted, onFallback } as ClientCall;
      const answer = await this.recognize(frame, whole ? call : quiet);
      if (whole) decision = answer.decision;
      const [document] = answer.documents;
      if (!document) throw new OcrError("server", "there is no page in the answer");
      return document;
    };
    const lines = await this.#pool.offerLines(call.requirements ?? {}, call.signal).catch((thrown: unknown) => {
      if (isCancelled(thrown)) throw thrown;
      // Without models a layer is believed.
      return null;
    });
    const read = await pdf.read(index, "auto", lines, readPicture, call.signal);
    if (read.plan) return { documents: [read as Document], decision };
    return { documents: [ofLayer(read, call.requirements ?? {}, performance.now() - began)], decision };
  }

  /** Why the device reads what the server, which was up a moment ago, didn't. */
  #refused(code: string): Reason {
    if (code === "network") {
      this.#health = { at: Date.now(), up: Promise.resolve(false) };
      return "server_down";
    }
    if (!KEYS_FAULT.has(code)) return "server_failed";
    this.#locked = true;
    return "server_key";
  }

  async #here(picture: Picture, call: ClientCall, decision: Decision): Promise<Answer> {
    this.#leisure.abort();
    this.#busy += 1;
    try {
      const { documents, runner } = await this.#run(picture, call);
      return { documents, decision: { ...decision, runner } };
    } finally {
      this.#busy -= 1;
      this.#rest(call.runOn ?? "auto");
    }
  }

  async #run(picture: Picture, call: ClientCall): Promise<{ documents: Document[]; runner: Runner }> {
    const runOn = call.runOn ?? "auto";
    const read = (await this.#gpu?.recognize(picture, call, runOn)) ?? "missing";
    if (Array.isArray(read)) return { documents: read, runner: "gpu" };
    if (read instanceof OcrError) {
      this.#told = "lost";
      call.onFallback?.(read);
    } else if (runOn === "gpu" && read !== this.#told) {
      this.#told = read;
      call.onFallback?.(new OcrError(`gpu_${read}`, `the GPU isn't used: ${read}`));
    }
    return { documents: await this.#pool.recognize(picture, call), runner: "cpu" };
  }

  /** Has GPU and CPU compared once nothing else is to be done, and no data are to be saved. */
  #rest(runOn: RunOn): void {
    if (!this.#gpu || runOn !== "auto" || this.#busy > 0 || this.#thrift().saveData) return;
    const leisure = new AbortController();
    this.#leisure = leisure;
    const timer = setTimeout(() => void this.#gpu?.check(leisure.signal).catch(() => undefined), LEISURE);
    leisure.signal.addEventListener("abort", () => clearTimeout(timer));
  }

  /** The pages of a file as pictures, for what the browser itself can't show. */
  pages(file: Blob): Promise<Blob[]> {
    return this.#pool.pages(file);
  }

  /** Ends the engines and frees their memory. */
  reset(): void {
    this.#leisure.abort();
    this.documents.reset();
    this.#pool.reset();
    this.#gpu?.reset();
  }

  async #server(): Promise<Conditions["server"]> {
    if (!this.#remote) return "none";
    if (this.#locked) return "locked";
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

/** A page whose text is the PDF's own, as a document. */
function ofLayer(read: PageRead, { language = "auto" }: Requirements, ms: number): Document {
  const none = { detector: "", recogniser: "", line_orientation: null, page_orientation: null, max_side: 0 };
  return {
    ...read,
    processing_time: ms / 1000,
    selected_models: [],
    id: crypto.randomUUID?.() ?? `${ms}`,
    turn: 0,
    device: "text layer",
    language,
    plan: { ...none, language, reasons: [] },
    timings: { text_layer: ms / 1000 },
  };
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
