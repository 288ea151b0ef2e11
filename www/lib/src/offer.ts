// Which models the engine may choose from on this device.

import type { StoredModel } from "./models.ts";
import type { Requirements } from "./types.ts";

export interface Thrift {
  /** The person asked the browser to save data. */
  saveData: boolean;
  /** GiB as the browser rounds them; null where it doesn't say. */
  memory: number | null;
}

/** GiB; below, only tiny models are loaded unless a language needs others. */
const ENOUGH_MEMORY = 2;

const TINY_LACKS = /^(ja|japanese|zh-hant|zh-tw|zh-hk|zh-mo|traditional chinese)/i;

/**
 * Names for the engine's plan. Tiny models are always offered, so that the first picture needs few bytes. Larger ones
 * are when they are here already, or when the requirements are worth fetching them.
 */
export function offered(models: StoredModel[], requirements: Requirements, thrift: Thrift): string[] {
  const weak = thrift.memory !== null && thrift.memory < ENOUGH_MEMORY;
  const needed = TINY_LACKS.test(requirements.language ?? "");
  const wanted = requirements.accuracy_requirement === "high" && !requirements.real_time;
  const worthFetching = wanted && !thrift.saveData;
  return models
    .filter((model) => {
      if (model.task === "dictionary" || model.tier === "tiny") return true;
      if (model.task === "line-orientation" || model.task === "page-orientation") {
        return model.stored || worthFetching || requirements.document_type === "complex_layout";
      }
      if (model.task !== "detection" && model.task !== "recognition") return false;
      // A detector of the language's own script there is none: those recognisers go with any detector.
      if (model.name.startsWith("ppocrv5-")) return model.task === "recognition";
      if (needed && model.task === "recognition" && model.tier === "small") return true;
      if (weak || model.tier === "medium") return false;
      return model.stored || worthFetching;
    })
    .map((model) => model.name);
}
