// The engine on the CPU.

import init, { Engine } from "maoocr-wasm";

import { serve } from "./serve.ts";

serve(init().then(() => new Engine()));
