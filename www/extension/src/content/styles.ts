// How the extension looks in pages, whatever these look like.

import { ROW_STYLES } from "../rows.ts";

export const STYLES = `
:host {
  --surface: light-dark(#ffffff, #1b1f1e);
  --sunken: light-dark(#eeeeea, #0e1110);
  --line: light-dark(#dfdfd8, #323836);
  --ink: light-dark(#1a1d1b, #eceeeb);
  --muted: light-dark(#575e5a, #a8b0ab);
  --accent: light-dark(#0f766e, #5eead4);
  --on-accent: light-dark(#ffffff, #042f2b);
  --poor: light-dark(#b3261e, #ffb0a6);
  --shadow: 0 1px 2px rgb(0 0 0 / 14%), 0 8px 28px rgb(0 0 0 / 26%);
}

*, ::before, ::after { box-sizing: border-box; }

.layer, .box, .bar, .panel, .hint {
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", "PingFang SC", sans-serif;
  color: var(--ink);
  pointer-events: auto;
}

button {
  font: inherit;
  color: inherit;
  border: 0;
  border-radius: 8px;
  padding: 5px 11px;
  background: none;
  cursor: pointer;
  white-space: nowrap;
}
button:hover { background: var(--sunken); }
button:focus-visible, textarea:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
button.main { background: var(--accent); color: var(--on-accent); font-weight: 600; }
button.main:hover { filter: brightness(1.08); }
button.close { padding: 5px 9px; }

/* The picker. */
.layer { position: fixed; inset: 0; cursor: crosshair; overflow: hidden; outline: none; touch-action: none; }
.hole {
  position: fixed;
  border: 2px solid #14b8a6;
  border-radius: 4px;
  box-shadow: 0 0 0 200vmax rgb(10 16 14 / 38%);
  pointer-events: none;
}
.hole.none { left: 50%; top: 0; border-width: 0; border-radius: 0; }
.hint {
  position: fixed;
  left: 50%;
  top: 14px;
  transform: translateX(-50%);
  width: max-content;
  max-width: calc(100% - 24px);
  padding: 9px 16px;
  border-radius: 12px;
  background: var(--surface);
  box-shadow: var(--shadow);
  text-align: center;
  pointer-events: none;
}
.hint b { font-weight: 600; }
.hint span { color: var(--muted); margin-inline-start: 10px; }

/* Text over a picture. */
.stage { position: fixed; inset: 0; pointer-events: none; }
.box { position: fixed; left: 0; top: 0; transform-origin: 0 0; pointer-events: none; }
.frame {
  position: fixed;
  border-radius: 4px;
  outline: 2px solid #14b8a6;
  outline-offset: 1px;
  pointer-events: none;
}
.frame.busy { animation: breathe 1.1s ease-in-out infinite alternate; }
@keyframes breathe { from { outline-color: rgb(20 184 166 / 100%); } to { outline-color: rgb(20 184 166 / 30%); } }
${ROW_STYLES}.bar {
  position: fixed;
  display: flex;
  align-items: center;
  gap: 2px;
  width: max-content;
  max-width: calc(100% - 12px);
  padding: 3px;
  border-radius: 11px;
  background: var(--surface);
  box-shadow: var(--shadow);
}
.bar .says { padding: 0 10px; color: var(--muted); white-space: nowrap; }
.bar .says.wrong, .panel .says.wrong { color: var(--poor); }
.bar .says.wrong { white-space: normal; max-width: 320px; }

/* The panel of a part of the screen. */
.panel {
  position: fixed;
  display: flex;
  flex-direction: column;
  gap: 8px;
  width: min(420px, calc(100% - 24px));
  padding: 12px;
  border-radius: 14px;
  background: var(--surface);
  box-shadow: var(--shadow);
}
.panel.unseen { opacity: 0; }
.stage.unseen, .bar.unseen { visibility: hidden; }
.panel header { display: flex; align-items: center; gap: 8px; min-height: 26px; }
.panel h2 { all: unset; font-weight: 650; flex: 1; }
.panel .says, .panel .note { color: var(--muted); margin: 0; }
.panel textarea {
  font: inherit;
  color: inherit;
  background: var(--sunken);
  border: 1px solid var(--line);
  border-radius: 9px;
  padding: 8px 10px;
  min-height: 96px;
  height: 168px;
  max-height: 50vh;
  resize: vertical;
}
.panel footer { display: flex; gap: 6px; justify-content: flex-end; align-items: center; }
.panel footer .says { flex: 1; }
.panel progress { width: 100%; height: 4px; accent-color: #14b8a6; }
[hidden] { display: none !important; }
@media (prefers-reduced-motion: reduce) { .frame.busy { animation: none; } }
`;
