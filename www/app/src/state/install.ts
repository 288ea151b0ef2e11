// What a page that stays can do: work offline, be told of updates, be opened with files and shared into.

import { registerSW } from "virtual:pwa-register";

import { ocr } from "./client.ts";
import { t } from "./i18n.svelte.ts";
import { read } from "./jobs.svelte.ts";
import { notify } from "./notices.svelte.ts";
import { settings } from "./settings.svelte.ts";
import { updateReady } from "./update.svelte.ts";

interface LaunchParams {
  files: FileSystemFileHandle[];
}

type Launching = Window & { launchQueue?: { setConsumer(consumer: (params: LaunchParams) => void): void } };

/** Where the worker leaves shared files. */
const SHARED = "maoocr-shared";

export function install(): void {
  const take = () => {
    navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
    void update(true);
  };
  const update = registerSW({
    // The new version takes over when the person says so, or when every page of the old one is closed.
    onNeedRefresh: () => updateReady(take),
    onOfflineReady: () => notify(t().offline),
  });
  if ("requestIdleCallback" in window) requestIdleCallback(prepare);
  else setTimeout(prepare, 1000);
  (window as Launching).launchQueue?.setConsumer(({ files }) => {
    void Promise.all(files.map((handle) => handle.getFile())).then((opened) => read(opened));
  });
  if (new URLSearchParams(location.search).has("shared")) void takeShared();
}

/** Once the page has nothing better to do: the next picture finds its engine started, and old models give room. */
function prepare(): void {
  void ocr().warm(settings.runOn);
  void ocr()
    .models.removeOutdated()
    .catch(() => undefined);
}

async function takeShared(): Promise<void> {
  history.replaceState(null, "", location.pathname + location.hash);
  const cache = await caches.open(SHARED);
  const files: File[] = [];
  for (const request of await cache.keys()) {
    const response = await cache.match(request);
    if (!response) continue;
    const name = decodeURIComponent(response.headers.get("x-name") ?? "shared");
    files.push(new File([await response.blob()], name, { type: response.headers.get("content-type") ?? "" }));
    await cache.delete(request);
  }
  await read(files);
}
