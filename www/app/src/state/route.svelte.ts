// Screens have addresses, so that the browser's own back button works.

export type Screen =
  | { name: "home" }
  | { name: "read"; id: string }
  | { name: "queue" }
  | { name: "camera" }
  | { name: "scan" }
  | { name: "history" }
  | { name: "settings" };

let current = $state.raw<Screen>(parse(location.hash));

export function screen(): Screen {
  return current;
}

export function listen(): () => void {
  const changed = () => {
    current = parse(location.hash);
  };
  addEventListener("hashchange", changed);
  return () => removeEventListener("hashchange", changed);
}

export function address(to: Screen): string {
  if (to.name === "home") return "#/";
  return to.name === "read" ? `#/read/${to.id}` : `#/${to.name}`;
}

export function go(to: Screen, replace = false): void {
  if (replace) {
    history.replaceState(null, "", address(to));
    current = to;
  } else location.hash = address(to);
}

function parse(hash: string): Screen {
  const [name, id] = hash.replace(/^#\/?/, "").split("/");
  switch (name) {
    case "read":
      return id ? { name, id } : { name: "home" };
    case "queue":
    case "camera":
    case "scan":
    case "history":
    case "settings":
      return { name };
    default:
      return { name: "home" };
  }
}
