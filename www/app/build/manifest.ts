import type { Plugin } from "vite";
import type { ManifestOptions } from "vite-plugin-pwa";

const PICTURES = {
  "image/*": [".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"],
  "application/pdf": [".pdf"],
};

/** How the app appears once it is installed. */
export const manifest: Partial<ManifestOptions> = {
  id: "./",
  lang: "en",
  name: "MaoOCR",
  short_name: "MaoOCR",
  description: "Text from photos, scans and PDFs, read on your own device",
  start_url: "./",
  scope: "./",
  display: "standalone",
  background_color: "#f7f7f4",
  theme_color: "#f7f7f4",
  categories: ["productivity", "utilities"],
  icons: [
    { src: "icons/192.png", sizes: "192x192", type: "image/png" },
    { src: "icons/512.png", sizes: "512x512", type: "image/png" },
    { src: "icons/maskable.png", sizes: "512x512", type: "image/png", purpose: "maskable" },
    { src: "icons/icon.svg", sizes: "any", type: "image/svg+xml" },
  ],
  shortcuts: [
    { name: "Camera", url: "./#/camera" },
    { name: "History", url: "./#/history" },
  ],
  share_target: {
    action: "./share",
    method: "POST",
    enctype: "multipart/form-data",
    params: { files: [{ name: "pictures", accept: ["image/*", "application/pdf"] }] },
  },
  file_handlers: [{ action: "./", accept: PICTURES }],
  launch_handler: { client_mode: "focus-existing" },
};

/** A manifest has one language: the app links the one of its own. */
const TRANSLATED: Record<string, { description: string; camera: string; history: string }> = {
  "zh-Hans": { description: "提取照片、扫描件和 PDF 中的文字，在本机识别", camera: "相机", history: "历史" },
  "zh-Hant": { description: "擷取照片、掃描文件和 PDF 中的文字，在本裝置上辨識", camera: "相機", history: "紀錄" },
};

export function translatedManifests(): Plugin {
  return {
    name: "translated-manifests",
    apply: "build",
    generateBundle() {
      for (const [lang, { description, camera, history }] of Object.entries(TRANSLATED)) {
        const shortcuts = [
          { name: camera, url: "./#/camera" },
          { name: history, url: "./#/history" },
        ];
        const source = JSON.stringify({ ...manifest, lang, description, shortcuts });
        this.emitFile({ type: "asset", fileName: `manifest.${lang}.webmanifest`, source });
      }
    },
  };
}
