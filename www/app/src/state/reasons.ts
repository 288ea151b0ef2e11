// Why the engine chose its models. It says so in English sentences; those it is known to say are told in Chinese.

import { language } from "./i18n.svelte.ts";

const TIERS: Record<string, string> = { tiny: "快速", small: "精准", medium: "最大" };

const WHY: Record<string, string> = {
  "little memory on this device": "本设备内存较少",
  "real time": "实时识别",
  "high accuracy and high speed": "要求高精度和高速度",
  "high accuracy": "要求高精度",
  "high speed": "要求高速度",
  "low accuracy suffices": "低精度即可",
  "the default": "默认选择",
};

const SENTENCES: [RegExp, (...parts: string[]) => string | null][] = [
  [/^(\w+) models: (.+)$/, (tier, why) => (TIERS[tier] && WHY[why] ? `${TIERS[tier]}模型：${WHY[why]}` : null)],
  [/^(\S+): the recogniser for (\S+)$/, (model, tag) => `${model}：用于 ${tag} 的识别模型`],
  [/^(\S+) needs the small recogniser: tiny lacks its characters$/, (tag) => `${tag} 需要精准模型：快速模型缺少其文字`],
  [
    /^(\S+): no (\w+) one is installed$/,
    (model, tier) => (TIERS[tier] ? `${model}：没有安装${TIERS[tier]}模型` : null),
  ],
  [/^taken as upright: no orientation models$/, () => "视为正向，不用方向模型"],
  [/^complex layout: the page and its lines are turned upright first$/, () => "复杂版面：先把页面和文字行转正"],
  [
    /^complex layout: taken as upright, since not all orientation models are installed$/,
    () => "复杂版面：方向模型不全，视为正向",
  ],
  [/^real time: the detector sees at most (\d+) px$/, (side) => `实时识别：检测时最长边不超过 ${side} 像素`],
];

/** The sentence in the app's language, else as it is. */
export function reason(sentence: string): { text: string; lang?: "en" } {
  const now = language();
  if (now === "en") return { text: sentence };

  for (const [pattern, tell] of SENTENCES) {
    const found = pattern.exec(sentence);
    const text = found && tell(...found.slice(1));
    if (text) return { text: now === "zh-Hant" ? traditional(text) : text };
  }
  return { text: sentence, lang: "en" };
}

/** Those characters and words of these sentences that differ. */
const TRADITIONAL: [string, string][] = [
  ["本设备", "本裝置"],
  ["内存", "記憶體"],
  ["较少", "較少"],
  ["实时识别", "即時辨識"],
  ["识别", "辨識"],
  ["检测时最长边不超过", "偵測時最長邊不超過"],
  ["要求高精度和高速度", "要求高準確度和高速度"],
  ["要求高精度", "要求高準確度"],
  ["低精度即可", "低準確度即可"],
  ["默认选择", "預設選擇"],
  ["精准", "準確"],
  ["没有安装", "沒有安裝"],
  ["用于", "用於"],
  ["的识别模型", "的辨識模型"],
  ["视为正向，不用方向模型", "視為正向，不用方向模型"],
  ["复杂版面：先把页面和文字行转正", "複雜版面：先將頁面和文字行轉正"],
  ["复杂版面：方向模型不全，视为正向", "複雜版面：方向模型不全，視為正向"],
];

function traditional(text: string): string {
  return TRADITIONAL.reduce((so, [simplified, other]) => so.replaceAll(simplified, other), text);
}
