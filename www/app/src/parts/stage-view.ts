// How the picture lies in its frame: px of the frame = scale × px of the picture + (x, y).

export interface View {
  scale: number;
  x: number;
  y: number;
}

export interface Size {
  width: number;
  height: number;
}

const LARGEST = 8;
/** Space around a picture that fits, px. */
export const MARGIN = 12;

export function fitting(picture: Size, room: Size): View {
  const scale = Math.max(
    0.01,
    Math.min((room.width - 2 * MARGIN) / picture.width, (room.height - 2 * MARGIN) / picture.height, 4),
  );
  return { scale, x: (room.width - picture.width * scale) / 2, y: (room.height - picture.height * scale) / 2 };
}

/** Zoomed by the factor around a place of the frame, between half of what fits and eight times the picture. */
export function zoomed(view: View, factor: number, x: number, y: number, least: number): View {
  const scale = Math.min(Math.max(LARGEST, least), Math.max(least / 2, view.scale * factor));
  const change = scale / view.scale;
  return { scale, x: x - (x - view.x) * change, y: y - (y - view.y) * change };
}

/** A bit of the picture is always to be seen. */
export function held(view: View, picture: Size, room: Size): View {
  const KEPT = 60;
  const clamp = (value: number, size: number, space: number) =>
    Math.min(space - KEPT, Math.max(KEPT - size * view.scale, value));
  return { ...view, x: clamp(view.x, picture.width, room.width), y: clamp(view.y, picture.height, room.height) };
}
