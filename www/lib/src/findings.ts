// What a text tells that a phone can act on: addresses of pages and of people, numbers to call, days.

export type Finding =
  | { kind: "link" | "mail" | "phone"; text: string; href: string }
  | { kind: "date"; text: string; /** ISO 8601, without a time. */ date: string };

/** Top-level domains are many; these are the ones that print names without "www". */
const LINK =
  /\b(?:https?:\/\/[^\s<>"'，。；、（）]+|(?:www\.|[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|edu|gov|info|io|dev|app|cn|tw|hk|jp|de|uk|fr|eu|ch|at)\b)[^\s<>"'，。；、（）]*)/gi;
const MAIL = /[\w.+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+/gi;
/** With its country's code, or at least seven digits in groups. */
const PHONE = /(?<![\w.,:/-])(?:\+\d{1,3}[ .-]?)?(?:\(\d{1,5}\)[ .-]?)?\d{2,5}(?:[ .-]\d{2,5}){1,4}(?![\w.,:/-]*\d)/g;
const MOBILE = /(?<!\d)1[3-9]\d{9}(?!\d)/g;
const MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december".split("|");
const DATES: [RegExp, (parts: string[]) => [string, string, string]][] = [
  [/\b(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})\b/g, ([y, m, d]) => [y ?? "", m ?? "", d ?? ""]],
  [/(\d{4})\s?年\s?(\d{1,2})\s?月\s?(\d{1,2})\s?[日号號]/g, ([y, m, d]) => [y ?? "", m ?? "", d ?? ""]],
  [
    /\b(\d{1,2})(?:st|nd|rd|th)? (jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?,? (\d{4})\b/gi,
    ([d, m, y]) => [y ?? "", month(m), d ?? ""],
  ],
  [
    /\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})\b/gi,
    ([m, d, y]) => [y ?? "", month(m), d ?? ""],
  ],
];

function month(name = ""): string {
  return `${MONTHS.findIndex((long) => long.startsWith(name.slice(0, 3).toLowerCase())) + 1}`;
}

/** In the order of the text, each once. */
export function findings(text: string): Finding[] {
  const found: { at: number; finding: Finding }[] = [];
  const taken: [number, number][] = [];
  const add = (match: RegExpMatchArray, make: (text: string) => Finding | null) => {
    const at = match.index ?? 0;
    // Sentences end after addresses, too.
    const own = match[0].replace(/[.,;:!?)\]]+$/, "");
    if (taken.some(([from, to]) => at < to && at + own.length > from)) return;
    taken.push([at, at + own.length]);
    const finding = make(own);
    if (finding) found.push({ at, finding });
  };
  for (const match of text.matchAll(MAIL)) add(match, (own) => ({ kind: "mail", text: own, href: `mailto:${own}` }));
  for (const match of text.matchAll(LINK)) {
    add(match, (own) => {
      const href = /^https?:/i.test(own) ? own : `https://${own}`;
      return URL.canParse(href) ? { kind: "link", text: own, href } : null;
    });
  }
  for (const [pattern, parts] of DATES) {
    for (const match of text.matchAll(pattern)) {
      add(match, (own) => {
        const [y, m, d] = parts(match.slice(1)).map(Number) as [number, number, number];
        const day = new Date(Date.UTC(y, m - 1, d));
        // No 31st of February.
        if (day.getUTCMonth() !== m - 1 || day.getUTCDate() !== d) return null;
        return { kind: "date", text: own, date: day.toISOString().slice(0, 10) };
      });
    }
  }
  for (const pattern of [MOBILE, PHONE]) {
    for (const match of text.matchAll(pattern)) {
      add(match, (own) => {
        const digits = own.replace(/[^\d+]/g, "");
        const count = digits.replace("+", "").length;
        return count >= 7 && count <= 15 ? { kind: "phone", text: own, href: `tel:${digits}` } : null;
      });
    }
  }
  const seen = new Set<string>();
  return found
    .sort((a, b) => a.at - b.at)
    .map(({ finding }) => finding)
    .filter(({ kind, text: own }) => !seen.has(`${kind} ${own}`) && seen.add(`${kind} ${own}`));
}

/** The day as a file that calendars open (RFC 5545). */
export function calendar(date: string, title: string): string {
  const day = date.replaceAll("-", "");
  const next = new Date(`${date}T00:00:00Z`);
  next.setUTCDate(next.getUTCDate() + 1);
  const escaped = title.replace(/[\\;,]/g, "\\$&").replace(/\s+/g, " ");
  return [
    "BEGIN:VCALENDAR",
    "VERSION:2.0",
    "PRODID:-//MaoOCR//EN",
    "BEGIN:VEVENT",
    `UID:${day}-${escaped.length}@maoocr`,
    `DTSTAMP:${new Date().toISOString().replace(/[-:]|\.\d+/g, "")}`,
    `DTSTART;VALUE=DATE:${day}`,
    `DTEND;VALUE=DATE:${next.toISOString().slice(0, 10).replaceAll("-", "")}`,
    `SUMMARY:${escaped}`,
    "END:VEVENT",
    "END:VCALENDAR",
    "",
  ].join("\r\n");
}
