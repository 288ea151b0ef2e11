// Short messages at the foot of the screen, which screen readers hear too.

export interface Notice {
  id: number;
  text: string;
  action?: { label: string; run: () => void };
}

/** ms */
const SHOWN = 5000;
const SHOWN_WITH_ACTION = 10_000;

export const notices = $state<Notice[]>([]);

let next = 1;

export function notify(text: string, action?: Notice["action"]): void {
  const id = next++;
  // The same message twice is one message.
  const same = notices.findIndex((notice) => notice.text === text);
  if (same >= 0) notices.splice(same, 1);
  notices.push({ id, text, ...(action && { action }) });
  setTimeout(() => dismiss(id), action ? SHOWN_WITH_ACTION : SHOWN);
}

export function dismiss(id: number): void {
  const at = notices.findIndex((notice) => notice.id === id);
  if (at >= 0) notices.splice(at, 1);
}
