// Where the bundler puts the engine's WebAssembly modules.

declare module "maoocr-wasm-module" {
  const url: string;
  export default url;
}

declare module "maoocr-wasm-relaxed-module" {
  const url: string;
  export default url;
}

declare module "maoocr-wasm-documents-module" {
  const url: string;
  export default url;
}
