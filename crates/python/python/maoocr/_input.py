"""What callers hand over → bytes for the engine."""

import json
import os
from typing import Any, Dict, Iterable, Optional, Tuple

from .errors import ImageError, InputError

#: Width and height in px, samples a pixel: 1 grey, 3 RGB, 4 RGBA.
Shape = Tuple[int, int, int]

#: Largest file by default, bytes.
MAX_BYTES = 64 << 20


class Source:
    """Something to read, and how. It is loaded when it is needed, and again for ``draw`` and ``to_pdf``."""

    def __init__(self, given: Any, options: Dict[str, Any], channels: str) -> None:
        if channels not in ("RGB", "BGR"):
            raise InputError("invalid_argument", f"channels: {channels!r} is neither 'RGB' nor 'BGR'")
        self.options = options
        self.channels = channels
        self.name = ""
        if hasattr(given, "read") and not hasattr(given, "__array_interface__"):
            # It can be read once.
            self.name = os.path.basename(str(getattr(given, "name", "")))
            given = given.read(self._limit() + 1)
            if not isinstance(given, bytes):
                raise InputError("invalid_argument", "the file was opened as text: open it in binary mode, 'rb'")
        elif isinstance(given, (str, os.PathLike)):
            self.name = os.path.basename(os.fspath(given))
        self.given = given

    @property
    def request(self) -> str:
        """The options as the engine takes them."""
        return json.dumps(self.options)

    def with_pages(self, pages: Iterable[int]) -> str:
        """The same for some pages only."""
        return json.dumps({**self.options, "pages": list(pages)})

    def load(self) -> Tuple[bytes, Optional[Shape]]:
        """Bytes of a file, or of pixels with their shape."""
        given = self.given
        if isinstance(given, bytes):
            return given, None
        if isinstance(given, (bytearray, memoryview)):
            return bytes(given), None
        if isinstance(given, (str, os.PathLike)):
            return _file(given, self._limit()), None
        if hasattr(given, "__array_interface__") and hasattr(given, "tobytes") and hasattr(given, "dtype"):
            return _array(given, self.channels)
        if hasattr(given, "getexif") and hasattr(given, "convert"):
            return _picture(given)
        raise InputError(
            "invalid_argument",
            f"can't read a {type(given).__name__}: give a path, bytes, a binary file, a Pillow picture or a NumPy array",
        )

    def _limit(self) -> int:
        limit: int = self.options.get("max_bytes", MAX_BYTES)
        return limit


def _file(path: "Any", limit: int) -> bytes:
    # A pipe would wait for someone to write into it.
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise InputError("invalid_argument", f"{os.fspath(path)}: this is not a regular file but a pipe or a device")
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise ImageError(
                "too_large", f"the file has {size} bytes, more than the limit of {limit}: raise it with the option max_bytes"
            )
        return file.read(limit + 1)


def _picture(picture: "Any") -> Tuple[bytes, Shape]:
    """A Pillow picture as a person sees it."""
    from PIL import Image, ImageOps

    picture = ImageOps.exif_transpose(picture)
    mode = picture.mode
    if mode.startswith("I;16"):
        # Sixteen bits, of which the upper eight say enough.
        picture = picture.convert("I").point(lambda value: value / 256).convert("L")
    elif mode in ("I", "F"):
        low, high = picture.getextrema()
        scale = 255.0 / (high - low) if high > low else 0.0
        picture = picture.convert("F").point(lambda value: value * scale - low * scale).convert("L")
    elif mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
    elif mode in ("1", "L"):
        picture = picture.convert("L")
    else:
        picture = picture.convert("RGB")
    samples = {"L": 1, "RGB": 3, "RGBA": 4}[picture.mode]
    assert isinstance(picture, Image.Image)
    return picture.tobytes(), (picture.width, picture.height, samples)


def _array(array: "Any", channels: str) -> Tuple[bytes, Shape]:
    """An array of shape (height, width), (height, width, 1), (height, width, 3) or (height, width, 4)."""
    kind = array.dtype.name
    if kind == "bool":
        array = array.astype("uint8") * 255
    elif kind == "uint16":
        array = (array >> 8).astype("uint8")
    elif kind != "uint8":
        raise InputError("invalid_argument", f"an array of {kind}: samples must be uint8, 0 to 255 (uint16 and bool also work)")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise InputError(
            "invalid_argument",
            f"an array of shape {tuple(array.shape)}: must be (height, width) or (height, width, 1, 3 or 4)",
        )
    height, width, samples = array.shape
    if channels == "BGR" and samples >= 3:
        array = array[:, :, [2, 1, 0, 3][:samples]]
    return array.tobytes(), (int(width), int(height), int(samples))
