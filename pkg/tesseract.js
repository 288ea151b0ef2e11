// The calls of tesseract.js, in a browser.

import { MaoOCR } from "./browser.js";
import { calls } from "./dist/tesseract.js";

export const { createWorker, recognize, createScheduler } = calls(() => new MaoOCR({ workers: 1 }));
export default { createWorker, recognize, createScheduler };
