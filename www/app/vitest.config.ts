// Tests of components, beside them, in the browser that people have.

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";

import viteConfig from "./vite.config.ts";

export default defineConfig({
  resolve: { alias: viteConfig.resolve?.alias ?? [] },
  define: { GPU_VERSION: '""' },
  server: { fs: { allow: ["../.."] } },
  plugins: [svelte()],
  // What is imported late: found during a test, it would load the page anew.
  optimizeDeps: { include: ["fflate", "idb", "zxing-wasm/reader", "zxing-wasm/writer"] },
  test: {
    include: ["src/**/*.test.ts"],
    setupFiles: ["src/setup.test-page.ts"],
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: playwright({
        launchOptions: {
          executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
          args: ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update"],
        },
      }),
      instances: [{ browser: "chromium" }],
      viewport: { width: 390, height: 844 },
    },
  },
});
