// The page as it is seen: with what lies in shadow trees.

/** Extensions may look into closed ones, too: Chromium has a function for it, Firefox a property. */
export function shadowOf(element: Element): ShadowRoot | null {
  const { dom } = chrome as Partial<typeof chrome>;
  if (dom && element instanceof HTMLElement) return dom.openOrClosedShadowRoot(element);
  return (element as { openOrClosedShadowRoot?: ShadowRoot | null }).openOrClosedShadowRoot ?? element.shadowRoot;
}

/** What an element is drawn in. */
export function parentOf(element: Element): Element | null {
  if (element.assignedSlot) return element.assignedSlot;
  if (element.parentElement) return element.parentElement;
  const root = element.getRootNode();
  return root instanceof ShadowRoot ? root.host : null;
}

export function holds(outer: Element, inner: Element): boolean {
  for (let one: Element | null = inner; one; one = parentOf(one)) if (one === outer) return true;
  return false;
}

/** All of them, those in shadow trees after what these belong to. */
export function elements(root: ParentNode = document): Element[] {
  return [...root.querySelectorAll("*")].flatMap((element) => {
    const shadow = shadowOf(element);
    return shadow ? [element, ...elements(shadow)] : [element];
  });
}

/** All elements at a place of the viewport, the uppermost first; not those of `own`. */
export function elementsAt(x: number, y: number, own: Element, root: Document | ShadowRoot = document): Element[] {
  // A shadow tree tells of what is outside of it, too.
  const of = root.elementsFromPoint(x, y).filter((element) => element !== own && element.getRootNode() === root);
  return of.flatMap((element) => {
    const shadow = shadowOf(element);
    return shadow ? [...elementsAt(x, y, own, shadow), element] : [element];
  });
}
