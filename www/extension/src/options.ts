import { mount } from "svelte";

import { begin } from "./page.ts";
import Options from "./Options.svelte";

await begin();
mount(Options, { target: document.body });
