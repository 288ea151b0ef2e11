/// <reference lib="webworker" />
// Keeps the app for offline use, and takes what other apps share into it.

import { relaxedSimd, withoutOtherModule } from "@maoocr/lib/simd";
import { cleanupOutdatedCaches, createHandlerBoundToURL, precacheAndRoute } from "workbox-precaching";
import { NavigationRoute, registerRoute } from "workbox-routing";

declare const self: ServiceWorkerGlobalScope;

const SHARED = "maoocr-shared";
/** The modules that not every visitor uses, and their threads. */
const MODULES = "maoocr-modules";
const MODULE_FILES = /\/assets\/((?:gpu|documents)-worker|maoocr_(?:gpu|documents)_bg)-[^/]+$/;

cleanupOutdatedCaches();
precacheAndRoute(
  withoutOtherModule(self.__WB_MANIFEST, (entry) => (typeof entry === "string" ? entry : entry.url), relaxedSimd()),
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

// Kept once they were used, in one version.
registerRoute(
  ({ url }) => MODULE_FILES.test(url.pathname),
  async ({ request, url }) => {
    const stem = MODULE_FILES.exec(url.pathname)?.[1];
    const response = await keptOrFetched(MODULES, request);
    const cache = await caches.open(MODULES);
    for (const other of await cache.keys()) {
      const { pathname } = new URL(other.url);
      if (pathname !== url.pathname && MODULE_FILES.exec(pathname)?.[1] === stem) await cache.delete(other);
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
