// The module for documents, as the bundler placed it.

import init from "maoocr-wasm-documents";

import { serveDocuments } from "./documents-serve.ts";

serveDocuments(init());
