// What is typed into fields.

import type { Attachment } from "svelte/attachments";

/** ms after the last key. */
const PAUSE = 500;

/** Hands a field's text to `save` before the field is left as well: after a pause, when the page is hidden, and when the
 * field goes away. */
export function saving(save: (text: string) => void): Attachment<HTMLTextAreaElement> {
  return (field) => {
    let timer: ReturnType<typeof setTimeout> | null = null;
    const settled = () => {
      if (timer !== null) clearTimeout(timer);
      timer = null;
    };
    const flush = () => {
      if (timer === null) return;
      settled();
      save(field.value);
    };
    const typed = () => {
      settled();
      timer = setTimeout(flush, PAUSE);
    };
    field.addEventListener("input", typed);
    field.addEventListener("change", settled);
    document.addEventListener("visibilitychange", flush);
    return () => {
      document.removeEventListener("visibilitychange", flush);
      flush();
    };
  };
}

/** Whether the key is one for the input method, such as the Enter that takes its suggestion: Safari tells that one by its
 * code alone. */
export function composing(event: KeyboardEvent): boolean {
  return event.isComposing || event.keyCode === 229;
}
