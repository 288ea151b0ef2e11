// Short messages at the foot of the screen, which screen readers hear too.

export interface Notice {
  id: number;
  text: string;
  action: { label: string; run: () => void } | null;
  /** ms until it goes by itself; null for one that stays until it is dismissed. */
  shown: number | null;
}

/** ms */
const SHOWN = 5000;
const SHOWN_WITH_ACTION = 60_000;

export const notices = $state<Notice[]>([]);

let next = 1;

export function notify(
  text: string,
  action: Notice["action"] = null,
  shown: Notice["shown"] = action ? SHOWN_WITH_ACTION : SHOWN,
): void {
  // The same message twice is one message.
  const same = notices.findIndex((notice) => notice.text === text);
  if (same >= 0) notices.splice(same, 1);
  notices.push({ id: next++, text, action, shown });
}

export function dismiss(id: number): void {
  const at = notices.findIndex((notice) => notice.id === id);
  if (at >= 0) notices.splice(at, 1);
}
