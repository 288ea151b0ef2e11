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

export function installable(): boolean {
  return offer !== null;
}

export async function installApp(): Promise<void> {
  // It can be shown once.
  const prompt = offer;
  offer = null;
  await prompt?.prompt();
}
