// The browser's offer to install the app, kept until the person asks for it.

interface InstallPrompt extends Event {
  prompt(): Promise<unknown>;
}

let offer = $state.raw<InstallPrompt | null>(null);

addEventListener("beforeinstallprompt", (event) => {
  event.preventDefault();
  offer = event as InstallPrompt;
});

addEventListener("appinstalled", () => {
  offer = null;
});

const apple = navigator as Navigator & { standalone?: boolean };

/** In Safari on an iPhone or iPad, where nothing offers to install the app and sites are cleared after a while. */
export const onIos =
  apple.standalone === false && (/iP(hone|ad|od)/.test(navigator.userAgent) || navigator.maxTouchPoints > 1);

export function installable(): boolean {
  return offer !== null;
}

export async function installApp(): Promise<void> {
  // It can be shown once.
  const prompt = offer;
  offer = null;
  await prompt?.prompt();
}
