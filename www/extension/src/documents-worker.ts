// The module for documents is larger than a file may be in the stores: the build packs it.

import { compilePacked } from "@maoocr/lib/open";
import { serveDocuments } from "@maoocr/lib/documents-serve";
import init from "maoocr-wasm-documents";
import module from "maoocr-wasm-documents-module";

serveDocuments(compilePacked(`${module}.gz`).then((compiled) => init({ module_or_path: compiled })));
