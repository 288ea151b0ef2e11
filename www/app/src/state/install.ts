// What a page that stays can do: work offline, be told of updates, be opened with files and shared into.

import { registerSW } from "virtual:pwa-register";

import { ocr } from "./client.ts";
import { t } from "./i18n.svelte.ts";
import { queue, read, resume, unfinished } from "./queue.svelte.ts";
import { notify } from "./notices.svelte.ts";
import { requirements, settings } from "./settings.svelte.ts";
import { updateReady } from "./update.svelte.ts";

interface LaunchParams {
  files: FileSystemFileHandle[];
  targetURL?: string;
}

type Launching = Window & { launchQueue?: { setConsumer(consumer: (params: LaunchParams) => void): void } };

/** Where the worker leaves shared files. */
const SHARED = "maoocr-shared";
/** Where it keeps what not every visitor uses. */
const MODULES = "maoocr-modules";

export function install(): void {
  let kept: () => void = () => undefined;
  const shell = new Promise<void>((resolve) => (kept = resolve));
  let chosen = false;
  const take = () => {
    chosen = true;
    void update();
  };
  const update = registerSW({
    // The new version takes over when the person says so, or when every page of the old one is closed.
    onNeedRefresh: () => updateReady(take),
    // Told by the browser, below, also to a page that was there before the first version was kept.
    onNeedReload: () => undefined,
    onOfflineReady: kept,
  });
  if ("serviceWorker" in navigator) {
    let controlled = navigator.serviceWorker.controller !== null;
    navigator.serviceWorker.addEventListener("controllerchange", () => {
      if (!controlled) controlled = true;
      else if (chosen || queue.jobs.length === 0) location.reload();
      // The person chose it in another tab: what this one reads, or shows, is theirs to give up.
      else updateReady(() => location.reload());
    });
  }
  addEventListener("beforeunload", (event) => {
    if (unfinished()) event.preventDefault();
  });
  const ready = () => void prepare(shell).catch(() => undefined);
  if ("requestIdleCallback" in window) requestIdleCallback(ready);
  else setTimeout(ready, 1000);
  (window as Launching).launchQueue?.setConsumer(({ files, targetURL }) => {
    // A shortcut: the browser only brings the open app to the front.
    if (files.length === 0 && targetURL) location.hash = new URL(targetURL).hash || location.hash;
    void Promise.all(files.map((handle) => handle.getFile())).then((opened) => read(opened));
  });
  void resume();
  if (new URLSearchParams(location.search).has("shared")) void takeShared();
}

/** Once the page has nothing better to do: the next picture finds its engine started and its models here, also without
 * a network; then old models give room. `shell` comes about when the app itself is kept, on a first visit. */
/** Whether the app was kept before this page was opened. */
const returning = "serviceWorker" in navigator && navigator.serviceWorker.controller !== null;

async function documentsKept(): Promise<boolean> {
  const kept = await (await caches.open(MODULES)).keys();
  return kept.some(({ url }) => url.includes("maoocr_documents_bg"));
}

async function prepare(shell: Promise<void>): Promise<void> {
  await ocr().warm(settings.runOn);
  if (settings.place === "server") return;
  if (!(await ocr().stock(requirements(), settings.runOn))) return;
  await ocr().models.removeOutdated();
  await ocr().rehearse(requirements(), settings.runOn);
  // Who comes again may open a PDF offline, too.
  if (returning && !(await documentsKept())) await ocr().documents.warm();
  await shell;
  notify(t().offline);
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
