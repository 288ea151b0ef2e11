// What a browser's processes take of memory and computing time, on Linux.

import { readdirSync, readFileSync } from "node:fs";

/** Memory of the browser's processes by their kind: what is their own, and of what is shared an equal part (PSS). */
export function memoryByKind(profile) {
  const sums = new Map();
  for (const { pid, root, command } of familyOf(profile)) {
    const kind = /--type=(renderer|gpu-process)/.exec(command)?.[1] ?? (root ? "browser" : "others");
    sums.set(kind, (sums.get(kind) ?? 0) + pss(pid));
  }
  return sums;
}

/** Memory of the page's process (PSS): the largest of its kind. A browser starts others for pages to come, and one for the
 * empty page that it began with. */
export function pageMemory(profile) {
  const pages = familyOf(profile).filter(({ command }) => command.includes("--type=renderer"));
  return Math.max(0, ...pages.map(({ pid }) => pss(pid)));
}

/** What the browser's processes wrote to memory, bytes: code, which other browsers on the machine share, isn't counted. */
export function ownMemory(profile) {
  return familyOf(profile).reduce((sum, { pid }) => sum + pss(pid, "Pss_Anon") + pss(pid, "Pss_Shmem"), 0);
}

/** What the browser's processes computed so far, s: unlike a clock, it doesn't count what other programs do. */
export function cpuTime(profile) {
  return familyOf(profile).reduce((sum, { pid }) => sum + computed(pid), 0);
}

/** The browser with that profile, and all that it started. */
function familyOf(profile) {
  const processes = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap(described);
  const [root] = processes.filter(({ command }) => command.includes(profile) && !command.includes("--type="));
  const family = new Set(root ? [root.pid] : []);
  // Children come after their parents, but numbers begin anew now and then.
  for (let grown = true; grown;) {
    const more = processes.filter(({ pid, parent }) => family.has(parent) && !family.has(pid));
    more.forEach(({ pid }) => family.add(pid));
    grown = more.length > 0;
  }
  return processes
    .filter(({ pid }) => family.has(pid))
    .map(({ pid, command }) => ({ pid, command, root: pid === root.pid }));
}

/** None for one that ended meanwhile. */
function described(pid) {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
    const parent = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);
    return [{ pid: Number(pid), parent, command }];
  } catch {
    return [];
  }
}

function pss(pid, part = "Pss") {
  try {
    const lines = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    return 1024 * Number(new RegExp(`^${part}:\\s+(\\d+)`, "m").exec(lines)[1]);
  } catch {
    return 0;
  }
}

/** Clock ticks are hundredths of a second. */
function computed(pid) {
  try {
    const [, state] = /\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, "utf8"));
    const fields = state.split(" ").map(Number);
    return (fields[11] + fields[12]) / 100;
  } catch {
    return 0;
  }
}
