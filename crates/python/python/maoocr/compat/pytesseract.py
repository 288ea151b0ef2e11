"""The calls of ``pytesseract``, read by this engine instead of the program ``tesseract``.

>>> from maoocr.compat import pytesseract
>>> pytesseract.image_to_string(Image.open("receipt.jpg"), lang="eng")

As there, arrays are RGB; languages have Tesseract's codes. Of ``config``, ``--psm`` 7, 8 and 13 (the picture is one line) and
``-l`` count; parameters that have no effect here, such as a whitelist of characters, say so once. A ``timeout`` ends the
reading with ``RuntimeError``, as there.
"""

import io
import os
import re
import tempfile
import threading
import warnings
from typing import Any, Callable, Dict, List, Optional, Tuple, TypeVar, Union

from .. import __version__
from .._engine import MaoOCR
from .._maoocr import Cancel
from ..errors import Cancelled, MaoOCRError
from ..result import Result
from . import shared_engine
from ._tesseract import TAGS, language, options

__all__ = [
    "Output",
    "TesseractError",
    "TesseractNotFoundError",
    "get_languages",
    "get_tesseract_version",
    "image_to_alto_xml",
    "image_to_boxes",
    "image_to_data",
    "image_to_osd",
    "image_to_pdf_or_hocr",
    "image_to_string",
    "run_and_get_output",
]

#: Of no effect: there is no program to start.
tesseract_cmd = "maoocr"

T = TypeVar("T")


class Output:
    """What a call returns."""

    BYTES = "bytes"
    DATAFRAME = "data.frame"
    DICT = "dict"
    STRING = "string"


class TesseractError(RuntimeError):
    """Something couldn't be read."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


class TesseractNotFoundError(EnvironmentError):
    """Never raised: there is no program to be found."""


def get_tesseract_version(cached: bool = False) -> Any:
    """A version that callers compare with what they need: Tesseract's 5.5.0, whose formats these are."""
    from packaging.version import Version

    return Version(f"5.5.0+maoocr{__version__}")


def get_languages(config: str = "") -> List[str]:
    """Codes that ``lang`` may have."""
    return sorted([*TAGS, "osd"])


def image_to_string(
    image: Any, lang: Optional[str] = None, config: str = "", nice: int = 0, output_type: str = Output.STRING, timeout: float = 0
) -> Any:
    """The text, with a form feed at the end of each page."""
    text = _read(image, lang, config, timeout, _text)
    return _as(output_type, text, lambda: {"text": text})


def image_to_data(
    image: Any,
    lang: Optional[str] = None,
    config: str = "",
    nice: int = 0,
    output_type: str = Output.STRING,
    timeout: float = 0,
    pandas_config: Optional[Dict[str, Any]] = None,
) -> Any:
    """Pages, blocks, paragraphs, lines and words with boxes in px and confidences in per cent, in Tesseract's columns."""
    rows = _read(image, lang, config, timeout, lambda r: r.export("tsv").decode())
    if output_type == Output.DATAFRAME:
        import csv

        import pandas

        settings = {"quoting": csv.QUOTE_NONE, "sep": "\t", **(pandas_config or {})}
        return pandas.read_csv(io.StringIO(rows), **settings)
    return _as(output_type, rows, lambda: _columns(rows))


def image_to_boxes(
    image: Any, lang: Optional[str] = None, config: str = "", nice: int = 0, output_type: str = Output.STRING, timeout: float = 0
) -> Any:
    """A character a line: the character, left, bottom, right, top in px from the bottom left, and the page. The engine knows
    where words are; their characters share the width evenly."""
    rows = _read(image, lang, config, timeout, _boxes)
    if output_type == Output.DICT:
        names = ("char", "left", "bottom", "right", "top", "page")
        split = [row.split(" ") for row in rows.splitlines()]
        return {
            name: [row[i] if name == "char" else int(row[i]) for row in split] for i, name in enumerate(names)
        }
    return _as(output_type, rows, dict)


def image_to_osd(
    image: Any, lang: Optional[str] = "osd", config: str = "", nice: int = 0, output_type: str = Output.STRING, timeout: float = 0
) -> Any:
    """Which way up the page is."""
    said = _read(image, None, config, timeout, _orientation, {"document_type": "complex_layout"})
    keys = {"Page number": "page_num", "Orientation in degrees": "orientation", "Rotate": "rotate",
            "Orientation confidence": "orientation_conf", "Script": "script", "Script confidence": "script_conf"}  # fmt: skip

    def fields() -> Dict[str, Union[int, float, str]]:
        found: Dict[str, Union[int, float, str]] = {}
        for row in said.splitlines():
            name, value = row.split(": ")
            number = float(value) if "confidence" in name else value if name == "Script" else int(value)
            found[keys[name]] = number
        return found

    return _as(output_type, said, fields)


def image_to_pdf_or_hocr(
    image: Any, lang: Optional[str] = None, config: str = "", nice: int = 0, extension: str = "pdf", timeout: float = 0
) -> bytes:
    """A searchable PDF, or hOCR."""
    if extension not in ("pdf", "hocr"):
        raise ValueError(f"Unsupported extension: {extension}")
    return _read(image, lang, config, timeout, lambda r: r.to_pdf() if extension == "pdf" else r.export("hocr"))


def image_to_alto_xml(image: Any, lang: Optional[str] = None, config: str = "", nice: int = 0, timeout: float = 0) -> bytes:
    """ALTO."""
    return _read(image, lang, config, timeout, lambda r: r.export("alto"))


def run_and_get_output(
    image: Any,
    extension: str = "",
    lang: Optional[str] = None,
    config: str = "",
    nice: int = 0,
    timeout: float = 0,
    return_bytes: bool = False,
) -> Union[str, bytes]:
    """What Tesseract would write into a file with this extension: ``txt``, ``tsv``, ``hocr``, ``xml`` or ``pdf``."""
    forms: Dict[str, Callable[[Result], bytes]] = {
        "txt": lambda r: _text(r).encode(),
        "tsv": lambda r: r.export("tsv"),
        "hocr": lambda r: r.export("hocr"),
        "xml": lambda r: r.export("alto"),
        "pdf": lambda r: r.to_pdf(),
    }
    if extension not in forms:
        raise ValueError(f"Unsupported extension: {extension}")
    made = _read(image, lang, config, timeout, forms[extension])
    return made if return_bytes or extension == "pdf" else made.decode()


# ----------------------------------------------------------------------------------------------------------------------


def _read(
    image: Any,
    lang: Optional[str],
    config: str,
    timeout: float,
    form: Callable[[Result], T],
    requirements: Optional[Dict[str, Any]] = None,
) -> T:
    mode, ignored, inner = options(config)
    if ignored:
        warnings.warn(f"maoocr: {', '.join(ignored)}: of no effect here", stacklevel=3)
    try:
        wanted = {"language": language(lang or inner), **(requirements or {})}
    except ValueError as error:
        raise TesseractError(1, str(error)) from None
    cancel = Cancel()
    timer = threading.Timer(timeout, cancel.cancel) if timeout > 0 else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    engine = shared_engine()
    try:
        if isinstance(image, str) and image.endswith(".txt"):
            return form(_listed(engine, image, wanted, cancel))
        if mode in (7, 8, 13):
            return form(_as_line(engine, image, wanted, cancel))
        return form(engine.recognize_with_requirements(image, wanted, cancel=cancel))
    except Cancelled:
        raise RuntimeError("Tesseract process timeout") from None
    except MaoOCRError as error:
        if isinstance(error, TypeError):
            raise TypeError("Unsupported image object") from error
        raise TesseractError(1, str(error)) from error
    finally:
        if timer is not None:
            timer.cancel()


def _listed(engine: MaoOCR, path: str, wanted: Dict[str, Any], cancel: Cancel) -> Result:
    """Pictures that a text file names, one a line, as a document."""
    from PIL import Image

    with open(path, encoding="utf-8") as file:
        names = [line.strip() for line in file if line.strip()]
    pages = [Image.open(name) for name in names]
    if not pages:
        raise TesseractError(1, f"{path} names no picture")
    with tempfile.TemporaryDirectory() as folder:
        whole = os.path.join(folder, "pages.tif")
        pages[0].convert("RGB").save(whole, save_all=True, append_images=[p.convert("RGB") for p in pages[1:]])
        with open(whole, "rb") as tiff:
            return engine.recognize_with_requirements(tiff.read(), wanted, cancel=cancel, max_bytes=1 << 30)


def _as_line(engine: MaoOCR, image: Any, wanted: Dict[str, Any], cancel: Cancel) -> Result:
    """A picture that is one line, as a result."""
    result = engine.recognize_with_requirements(image, {**wanted, "document_type": "simple_text"}, cancel=cancel)
    if len(result.lines) == 1:
        return result
    lines = engine.read_lines(image, requirements={**wanted, "document_type": "simple_text"}, cancel=cancel)
    text = lines[0].text if lines else ""
    # What the line says; its boxes stay those of the parts that were found.
    result["text"] = text
    result.pages[0]["text"] = text
    return result


def _text(result: Result) -> str:
    return "".join(page.text + "\n\f" for page in result.pages)


def _boxes(result: Result) -> str:
    rows = []
    for page in result.pages:
        for word in page.words:
            xs, ys = [p[0] for p in word.box], [p[1] for p in word.box]
            left, width = min(xs), (max(xs) - min(xs)) / max(len(word.text), 1)
            bottom, top = round(page.height - max(ys)), round(page.height - min(ys))
            for index, char in enumerate(word.text):
                from_, to = round(left + index * width), round(left + (index + 1) * width)
                rows.append(f"{char} {from_} {bottom} {to} {top} {page.index}")
    return "\n".join(rows)


def _orientation(result: Result) -> str:
    page = result.pages[0]
    scripts = [("Han", "[\u4e00-\u9fff]"), ("Japanese", "[\u3040-\u30ff]"), ("Cyrillic", "[\u0400-\u04ff]")]
    script = next((name for name, pattern in reversed(scripts) if re.search(pattern, page.text)), "Latin")
    turned = (360 - page.turn) % 360
    rows = [
        f"Page number: {page.index}",
        f"Orientation in degrees: {turned}",
        f"Rotate: {page.turn}",
        f"Orientation confidence: {15 * page.confidence:.2f}",
        f"Script: {script}",
        f"Script confidence: {15 * page.confidence:.2f}",
    ]
    return "\n".join(rows) + "\n"


def _columns(rows: str) -> Dict[str, List[Any]]:
    head, *lines = rows.rstrip("\n").split("\n")
    names = head.split("\t")
    cells: List[Tuple[str, ...]] = [tuple(line.split("\t")) for line in lines]

    def value(name: str, cell: str) -> Any:
        if name == "text":
            return cell
        return float(cell) if name == "conf" and cell != "-1" else int(float(cell))

    return {name: [value(name, row[i]) for row in cells] for i, name in enumerate(names)}


def _as(output_type: str, text: str, fields: Callable[[], Any]) -> Any:
    if output_type == Output.STRING:
        return text
    if output_type == Output.BYTES:
        return text.encode()
    if output_type == Output.DICT:
        return fields()
    raise ValueError(f"Unsupported output type: {output_type}")

