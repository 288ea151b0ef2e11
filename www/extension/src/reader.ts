import { mount } from "svelte";

import { begin } from "./page.ts";
import Reader from "./reader/Reader.svelte";
import { ROW_STYLES } from "./rows.ts";

const sheet = new CSSStyleSheet();
sheet.replaceSync(ROW_STYLES);
document.adoptedStyleSheets.push(sheet);
await begin();
mount(Reader, { target: document.body });
