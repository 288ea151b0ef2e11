/// <reference lib="webworker" />
// Keeps the app for offline use, and takes what other apps share into it.

import { relaxedSimd } from "@maoocr/lib/simd";
import { cleanupOutdatedCaches, createHandlerBoundToURL, precacheAndRoute } from "workbox-precaching";
import { NavigationRoute, registerRoute } from "workbox-routing";

declare const self: ServiceWorkerGlobalScope;

const SHARED = "maoocr-shared";
const PDF = "maoocr-pdf";
const GPU = "maoocr-gpu";
const GPU_FILES = /\/assets\/(gpu-worker|maoocr_gpu_bg)-[^/]+$/;

/** Of the two modules for CPUs the one that this browser won't take. */
const OTHER_MODULE = relaxedSimd() ? /\/maoocr(_bg)?-[^/]+$/ : /\/maoocr_relaxed(_bg)?-[^/]+$/;

cleanupOutdatedCaches();
precacheAndRoute(
  self.__WB_MANIFEST.filter((entry) => !OTHER_MODULE.test(typeof entry === "string" ? entry : entry.url)),
);
registerRoute(
  new NavigationRoute(createHandlerBoundToURL("index.html"), {
    denylist: [/\/(api|v1|docs|metrics|health|ready|openapi\.json)(\/|$)/],
  }),
);

registerRoute(
  ({ url }) => url.pathname.endsWith("/share"),
  async ({ request }) => {
    const form = await request.formData();
    const cache = await caches.open(SHARED);
    const files = form.getAll("pictures").filter((entry) => entry instanceof File);
    await Promise.all(
      files.map((file, i) => {
        const headers = { "content-type": file.type, "x-name": encodeURIComponent(file.name) };
        return cache.put(`./shared/${Date.now()}-${i}`, new Response(file, { headers }));
      }),
    );
    return Response.redirect("./?shared", 303);
  },
  "POST",
);

// A PDF's rare character maps and fonts: kept once they were used.
registerRoute(
  ({ url }) => /\/pdf\/(cmaps|standard_fonts)\//.test(url.pathname),
  ({ request }) => keptOrFetched(PDF, request),
);

// The module for GPUs likewise, in one version.
registerRoute(
  ({ url }) => GPU_FILES.test(url.pathname),
  async ({ request, url }) => {
    const stem = GPU_FILES.exec(url.pathname)?.[1];
    const response = await keptOrFetched(GPU, request);
    const cache = await caches.open(GPU);
    for (const other of await cache.keys()) {
      const { pathname } = new URL(other.url);
      if (pathname !== url.pathname && GPU_FILES.exec(pathname)?.[1] === stem) await cache.delete(other);
    }
    return response;
  },
);

async function keptOrFetched(name: string, request: Request): Promise<Response> {
  const cache = await caches.open(name);
  const kept = await cache.match(request);
  if (kept) return kept;
  const response = await fetch(request);
  if (response.ok) await cache.put(request, response.clone());
  return response;
}

// The first visit's page too: it is told of updates, and what it fetches is kept.
self.addEventListener("activate", (event: ExtendableEvent) => event.waitUntil(self.clients.claim()));

self.addEventListener("message", (event: ExtendableMessageEvent) => {
  if ((event.data as { type?: string } | null)?.type === "SKIP_WAITING") void self.skipWaiting();
});
