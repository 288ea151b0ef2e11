// How much memory the engine takes, from its document to the extension's pages: over a channel, which, unlike a message,
// starts nothing.

const channel = new BroadcastChannel("memory");
const ASKED = "asked";
/** Between two questions, ms. */
const PERIOD = 2000;

/** Answers from now on; `bytes` says how much it is now. */
export function tellMemory(bytes: () => number): void {
  channel.addEventListener("message", ({ data }) => {
    if (data === ASKED) channel.postMessage(bytes());
  });
}

/** Hears of it, in bytes, until the function that it returns is called. Where nobody answers, there is no engine. */
export function watchMemory(heard: (bytes: number) => void): () => void {
  let waiting = false;
  const ask = (): void => {
    if (waiting) heard(0);
    waiting = true;
    channel.postMessage(ASKED);
  };
  const hear = ({ data }: MessageEvent<unknown>): void => {
    if (typeof data !== "number") return;
    waiting = false;
    heard(data);
  };
  channel.addEventListener("message", hear);
  ask();
  const timer = setInterval(ask, PERIOD);
  return () => {
    clearInterval(timer);
    channel.removeEventListener("message", hear);
  };
}
