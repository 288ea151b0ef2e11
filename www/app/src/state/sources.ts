// Pages of files that are kept: opened when one of their pages is wanted, and let go of when others are.

import { pagesOf, type Page } from "./pictures.ts";
import { fileOf } from "./store.ts";

/** Files held open. */
const OPEN = 2;

const opened = new Map<string, Promise<Page[]>>();

/** A kept file's page. */
export async function storedPage(file: string, page: Page["page"]): Promise<Page> {
  const pages = await pagesOfStored(file);
  const found = pages[page ? page.number - 1 : 0];
  if (!found) throw new DOMException("the file has no such page", "NotFoundError");
  return found;
}

function pagesOfStored(id: string): Promise<Page[]> {
  const there = opened.get(id);
  if (there) {
    // The one that was wanted last goes last.
    opened.delete(id);
    opened.set(id, there);
    return there;
  }
  const pages = open(id);
  opened.set(id, pages);
  pages.catch(() => opened.delete(id));
  for (const [oldest] of opened) {
    if (opened.size <= OPEN) break;
    opened.delete(oldest);
  }
  return pages;
}

async function open(id: string): Promise<Page[]> {
  const file = await fileOf(id);
  if (!file) throw new DOMException("the file isn't kept", "NotFoundError");
  return pagesOf(file, id);
}
