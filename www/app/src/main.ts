import "./app.css";

import { mount } from "svelte";

import App from "./App.svelte";
import { setLanguage } from "./state/i18n.svelte.ts";
import { settings } from "./state/settings.svelte.ts";

const target = document.getElementById("app");
if (!target) throw new Error("index.html has no #app");
await setLanguage(settings.language);
mount(App, { target });
