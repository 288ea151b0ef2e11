"""A plugin for OCRmyPDF 17: ``ocrmypdf --plugin maoocr.ocrmypdf scan.pdf searchable.pdf``.

Languages have Tesseract's codes, as there (``-l eng+deu``). ``--rotate-pages`` and ``--deskew`` work. The renderer is
OCRmyPDF's own; its ``sandwich`` needs an engine that writes PDFs with text alone.
"""

import math
import statistics
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Dict, List, Optional, Set, Tuple

from ocrmypdf import hookimpl
from ocrmypdf.exceptions import BadArgsError, MissingDependencyError
from ocrmypdf.models.ocr_element import Baseline, BoundingBox, OcrClass, OcrElement
from ocrmypdf.pluginspec import OcrEngine, OrientationConfidence

from . import __version__
from ._engine import MaoOCR
from .compat import shared_engine
from .compat._tesseract import TAGS, language
from .errors import MaoOCRError
from .result import Block, Line, Page, Word

#: Share of a line's height below its baseline: descenders, and what the detector adds around the letters.
BELOW_BASELINE = 0.2
#: Levels of quality, as ``--maoocr-quality``.
QUALITIES: Dict[str, Dict[str, str]] = {
    "fast": {"speed_requirement": "high"},
    "default": {},
    "best": {"accuracy_requirement": "high"},
}


class MaoOCREngine(OcrEngine):
    """The engine as OCRmyPDF calls it, from threads or forked processes."""

    @staticmethod
    def version() -> str:
        return __version__

    @staticmethod
    def creator_tag(options: Any) -> str:
        return f"MaoOCR {__version__}"

    def __str__(self) -> str:
        return f"MaoOCR {__version__}"

    @staticmethod
    def languages(options: Any) -> Set[str]:
        return set(TAGS)

    @staticmethod
    def get_orientation(input_file: Path, options: Any) -> OrientationConfidence:
        """The turn of the whole page. The page is read by the fastest models, as only upright text reads surely."""
        wanted = {"document_type": "complex_layout", "speed_requirement": "high"}
        page = _read(input_file, wanted)
        # The scale is Tesseract's: below about 2 nobody should act, 15 is certain.
        return OrientationConfidence(angle=page.turn, confidence=15.0 * page.confidence)

    @staticmethod
    def get_deskew(input_file: Path, options: Any) -> float:
        """The angle by which to turn the page counter-clockwise, degrees: the median of its lines', the long ones."""
        found = shared_engine().detect(input_file, threads=1)
        angles: List[float] = []
        for line in found:
            (ax, ay), (bx, by), _, (dx, dy) = line["box"]
            if math.hypot(bx - ax, by - ay) > 5 * math.hypot(dx - ax, dy - ay):
                angles.append(math.degrees(math.atan2(by - ay, bx - ax)))
        small = [angle for angle in angles if abs(angle) < 15.0]
        return statistics.median(small) if small else 0.0

    @staticmethod
    def supports_generate_ocr() -> bool:
        return True

    @staticmethod
    def generate_ocr(input_file: Path, options: Any, page_number: int = 0) -> Tuple[OcrElement, str]:
        page = _read(input_file, _wanted(options))
        return element(page, page_number), page.text

    @staticmethod
    def generate_hocr(input_file: Path, output_hocr: Path, output_text: Path, options: Any) -> None:
        result = shared_engine().recognize_with_requirements(input_file, _wanted(options), threads=1)
        output_hocr.write_bytes(result.export("hocr"))
        output_text.write_text(result.text, encoding="utf-8")

    @staticmethod
    def generate_pdf(input_file: Path, output_pdf: Path, output_text: Path, options: Any) -> None:
        raise NotImplementedError("MaoOCR has no renderer of its own here: use --pdf-renderer fpdf2")


@hookimpl
def add_options(parser: ArgumentParser) -> None:
    """Adds ``--maoocr-quality``."""
    group = parser.add_argument_group("MaoOCR", "Options of the plugin maoocr.ocrmypdf")
    group.add_argument(
        "--maoocr-quality", choices=sorted(QUALITIES), default="default", help="Which models read (default: default)"
    )


@hookimpl
def check_options(options: Any) -> None:
    """Refuses what can't work, and loads the models before any page waits for them."""
    if getattr(options, "pdf_renderer", "auto") == "sandwich":
        raise BadArgsError("The plugin maoocr.ocrmypdf works with --pdf-renderer fpdf2, not with sandwich")
    try:
        shared_engine().prepare(_wanted(options))
    except MaoOCRError as error:
        raise MissingDependencyError(str(error)) from error


@hookimpl
def get_ocr_engine(options: Any) -> Optional[OcrEngine]:
    """This engine, unless another one is asked for."""
    if options is not None and getattr(options, "ocr_engine", "auto") not in ("auto", "maoocr"):
        return None
    return MaoOCREngine()


def _wanted(options: Any) -> Dict[str, Any]:
    codes = "+".join(getattr(options, "languages", None) or [])
    quality = getattr(options, "maoocr_quality", None) or "default"
    # Tesseract's default is English, whatever is on the page; here no language is asked for unless one is named.
    tag = language(codes) if codes != "eng" else "auto"
    return {"language": tag, "batch_processing": True, **QUALITIES[quality]}


def _read(input_file: Path, wanted: Dict[str, Any], engine: Optional[MaoOCR] = None) -> Page:
    # Pages are read side by side: none needs more than its own thread.
    result = (engine or shared_engine()).recognize_with_requirements(input_file, wanted, threads=1)
    return result.pages[0]


# ----------------------------------------------------------------------------------------------------------------------


def element(page: Page, page_number: int) -> OcrElement:
    """A page as OCRmyPDF's tree: paragraphs, lines, words."""
    tree = OcrElement(
        ocr_class=OcrClass.PAGE,
        bbox=BoundingBox(0, 0, page.width, page.height),
        dpi=page.dpi,
        page_number=page_number,
    )
    for block in page.blocks:
        lines = [child for index in block.lines for child in _lines(page.lines[index], page)]
        if lines:
            tree.children.append(OcrElement(ocr_class=OcrClass.PARAGRAPH, bbox=_around(block, page), children=lines))
    return tree


def _lines(line: Line, page: Page) -> List[OcrElement]:
    if line.vertical:
        return [_upright(part, page) for part in _stacked(line)]
    return [_upright(line, page)]


def _upright(line: Line, page: Page) -> OcrElement:
    box = _around(line, page)
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = line.box
    # Counter-clockwise, of the text's direction; y is down.
    angle = -math.degrees(math.atan2(by - ay, bx - ax))
    made = OcrElement(
        ocr_class=OcrClass.LINE,
        bbox=box,
        text=line.text,
        confidence=line.confidence,
        direction="rtl" if _is_rtl(line.text) else "ltr",
        children=[_word(word, page) for word in _joined(line)],
    )
    if abs(angle) < 45.0:
        # From the box's bottom left corner, y down, as hOCR has it.
        slope = (cy - dy) / (cx - dx) if cx > dx else 0.0
        height = math.hypot(dx - ax, dy - ay)
        at_left = dy - BELOW_BASELINE * height + slope * (box.left - dx)
        made.baseline = Baseline(slope=slope, intercept=at_left - box.bottom)
    else:
        made.textangle = angle
    return made


def _word(word: Word, page: Page) -> OcrElement:
    return OcrElement(ocr_class=OcrClass.WORD, bbox=_around(word, page), text=word.text, confidence=word.confidence)


def _joined(line: Line) -> List[Word]:
    """The words of a line; those with no space between them are one."""
    joined: List[Word] = []
    rest = line.text
    for word in line.words:
        at = rest.find(word.text)
        spaced = at != 0
        rest = rest[at + len(word.text) :] if at >= 0 else rest
        if joined and not spaced:
            last = joined[-1]
            (ax, ay), _, _, (dx, dy) = last.box
            _, b, c, _ = word.box
            whole = last.text + word.text
            sure = (last.confidence * len(last.text) + word.confidence * len(word.text)) / len(whole)
            joined[-1] = Word(text=whole, confidence=sure, box=[[ax, ay], b, c, [dx, dy]])
        else:
            joined.append(word)
    return joined or [Word(text=line.text, confidence=line.confidence, box=line.box)]


def _stacked(line: Line) -> List[Line]:
    """A vertical line's characters, each a line of its own: the renderer writes from left to right."""
    text = line.text.replace(" ", "")
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = line.box
    count = max(len(text), 1)

    def at(share: float) -> Tuple[List[float], List[float]]:
        return [ax + (dx - ax) * share, ay + (dy - ay) * share], [bx + (cx - bx) * share, by + (cy - by) * share]

    parts = []
    for index, char in enumerate(text):
        (left, right), (next_left, next_right) = at(index / count), at((index + 1) / count)
        box = [left, right, next_right, next_left]
        word = Word(text=char, confidence=line.confidence, box=box)
        parts.append(Line(text=char, confidence=line.confidence, box=box, words=[word], vertical=False))
    return parts


def _around(item: "Block | Line | Word", page: Page) -> BoundingBox:
    xs = [min(max(x, 0.0), float(page.width)) for x, _ in item.box]
    ys = [min(max(y, 0.0), float(page.height)) for _, y in item.box]
    return BoundingBox(min(xs), min(ys), max(xs), max(ys))


def _is_rtl(text: str) -> bool:
    return any("\u0590" <= char <= "\u08ff" for char in text)
