import { mount } from "svelte";

import Popup from "./Popup.svelte";
import { begin } from "./page.ts";

await begin();
mount(Popup, { target: document.body, props: { panel: true } });
