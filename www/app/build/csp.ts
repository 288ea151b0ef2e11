import type { Plugin } from "vite";

/** Everything comes from the app's own origin. WebAssembly is compiled; no other code is made from text. */
const POLICY = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "media-src 'self' blob:",
  "worker-src 'self'",
  "connect-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
];

/** Only a header can say this. */
const HEADERS = [
  `Content-Security-Policy: ${[...POLICY, "frame-ancestors 'none'"].join("; ")}`,
  "Permissions-Policy: camera=(self), microphone=(), geolocation=()",
  "Referrer-Policy: no-referrer",
  "X-Content-Type-Options: nosniff",
];

/** The policy in the page itself, so that it holds on any host, and as a `_headers` file for hosts that read one. While
 * developing it would stop the bundler's own inline code. */
export function contentSecurityPolicy(): Plugin {
  return {
    name: "content-security-policy",
    apply: "build",
    transformIndexHtml: () => [
      {
        tag: "meta",
        attrs: { "http-equiv": "Content-Security-Policy", content: POLICY.join("; ") },
        injectTo: "head-prepend",
      },
    ],
    generateBundle() {
      const source = `/*\n${HEADERS.map((header) => `  ${header}\n`).join("")}`;
      this.emitFile({ type: "asset", fileName: "_headers", source });
    },
  };
}
