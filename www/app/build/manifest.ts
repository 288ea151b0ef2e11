import type { ManifestOptions } from "vite-plugin-pwa";

const PICTURES = {
  "image/*": [".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic"],
  "application/pdf": [".pdf"],
};

/** How the app appears once it is installed. */
export const manifest: Partial<ManifestOptions> = {
  id: "./",
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
