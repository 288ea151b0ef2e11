// The manifest of each store, from one source.

/** What a page of the extension may do. Its own server is the person's choice: its address isn't known here. */
const POLICY = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "connect-src 'self' http: https: ws: wss:",
  "worker-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

const ICONS = Object.fromEntries([16, 32, 48, 128].map((size) => [size, `icons/${size}.png`]));

export function manifest(browser, version) {
  const chrome = browser === "chrome";
  return {
    manifest_version: 3,
    name: "__MSG_name__",
    short_name: "MaoOCR",
    description: "__MSG_description__",
    version,
    default_locale: "en",
    icons: ICONS,
    action: { default_title: "__MSG_name__", default_popup: "popup.html", default_icon: ICONS },
    options_ui: { page: "options.html", open_in_tab: true },
    background: chrome
      ? { service_worker: "background.js", type: "module" }
      : { scripts: ["background.js"], type: "module" },
    commands: {
      pick: { suggested_key: { default: "Alt+Shift+O" }, description: "__MSG_commandPick__" },
      visible: { description: "__MSG_commandVisible__" },
      page: { description: "__MSG_commandPage__" },
      pdf: { description: "__MSG_commandPdf__" },
    },
    // Pages are seen only where and when the person asks for it.
    permissions: ["activeTab", "contextMenus", "scripting", "storage", ...(chrome ? ["offscreen", "sidePanel"] : [])],
    ...(chrome
      ? { side_panel: { default_path: "panel.html" } }
      : {
          sidebar_action: {
            default_title: "__MSG_name__",
            default_panel: "panel.html",
            default_icon: ICONS,
            open_at_install: false,
          },
        }),
    optional_permissions: ["clipboardWrite"],
    optional_host_permissions: ["https://*/*", "http://*/*"],
    content_security_policy: { extension_pages: POLICY },
    ...(chrome
      ? { minimum_chrome_version: "116", incognito: "split" }
      : {
          browser_specific_settings: {
            gecko: {
              id: "maoocr@maoocr.org",
              strict_min_version: "142.0",
              data_collection_permissions: { required: ["none"] },
            },
          },
        }),
  };
}
