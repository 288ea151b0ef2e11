"""The calls and results of ``rapidocr`` 3, read by this engine.

>>> from maoocr.compat.rapidocr import RapidOCR
>>> engine = RapidOCR()
>>> result = engine("receipt.jpg")
>>> result.boxes.shape, result.txts[0], result.scores[0]

As there, arrays are BGR, as OpenCV reads them, and Pillow pictures are what they are. Settings that name networks, runtimes
or devices of the other package have no effect and say so once.
"""

import io
import time
import urllib.request
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Union

import numpy as np

from .._engine import MaoOCR
from ..result import Line, Result

__all__ = ["RapidOCR", "RapidOCROutput", "TextClsOutput", "TextDetOutput", "TextRecOutput"]

WordResult = Tuple[str, float, Optional[List[List[float]]]]


@dataclass
class TextDetOutput:
    """Lines that were found.

    Attributes:
        img: The picture, BGR, shape (height, width, 3).
        boxes: Shape (lines, 4, 2), px, clockwise from the top left; none where nothing was found.
        scores: 0 to 1.
        elapse: Time, s.
    """

    img: Optional[Any] = None
    boxes: Optional[Any] = None
    scores: Optional[Tuple[float, ...]] = None
    elapse: float = 0.0

    def __len__(self) -> int:
        return 0 if self.boxes is None else len(self.boxes)


@dataclass
class TextClsOutput:
    """Which way up lines are: a label (``0`` or ``180``) and a score each."""

    img_list: Optional[List[Any]] = None
    cls_res: Optional[List[Tuple[str, float]]] = None
    elapse: float = 0.0

    def __len__(self) -> int:
        return 0 if self.img_list is None else len(self.img_list)


@dataclass
class TextRecOutput:
    """Lines that were read: text and score (0 to 1) each."""

    imgs: Optional[List[Any]] = None
    txts: Optional[Tuple[str, ...]] = None
    scores: Tuple[float, ...] = ()
    word_results: Tuple[Any, ...] = ()
    elapse: Optional[float] = None

    def __len__(self) -> int:
        return 0 if self.txts is None else len(self.txts)


@dataclass
class RapidOCROutput:
    """What was read.

    Attributes:
        img: The picture, BGR, shape (height, width, 3).
        boxes: Shape (lines, 4, 2), float32, px, clockwise from the top left; none where there is no text.
        txts: A text a line.
        scores: 0 to 1.
        word_results: With ``return_word_box``: for each line its words as (text, score, box).
        elapse_list: Time to find, to turn and to read lines, s.
        elapse: Their sum.
    """

    img: Optional[Any] = None
    boxes: Optional[Any] = None
    txts: Optional[Tuple[str, ...]] = None
    scores: Optional[Tuple[float, ...]] = None
    word_results: Tuple[Any, ...] = (("", 1.0, None),)
    elapse_list: List[Union[float, None]] = field(default_factory=list)
    elapse: float = field(init=False)
    viser: Optional[Any] = None
    result: Optional[Result] = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.elapse = sum(v for v in self.elapse_list if isinstance(v, float))

    def __len__(self) -> int:
        return 0 if self.txts is None else len(self.txts)

    def to_json(self) -> Optional[List[Dict[str, Any]]]:
        """A list of ``{"box", "txt", "score"}``; none where there is no text."""
        if self.boxes is None or self.txts is None or self.scores is None:
            return None
        rows = zip(self.boxes, self.txts, self.scores)
        return [{"box": box.tolist(), "txt": text, "score": score} for box, text, score in rows]

    def to_markdown(self) -> str:
        """Markdown of the page's structure; empty where there is no text."""
        return self.result.to_markdown() if self.result is not None else ""

    def vis(self, save_path: Optional[str] = None) -> Optional[Any]:
        """The picture with boxes drawn on it, BGR; also written to a file."""
        if self.result is None:
            return None
        drawn = self.result.draw(save_path, words=any(self.word_results))
        return np.asarray(drawn)[:, :, ::-1].copy()


class RapidOCR:
    """An engine with the calls of ``rapidocr.RapidOCR``.

    Args:
        config_path: Not used.
        params: ``Global.text_score``, ``Global.use_det``, ``Global.use_cls``, ``Global.use_rec``,
            ``Global.return_word_box``, ``Global.return_single_char_box``; others have no effect.
        engine: The engine to read with. Default: a new one.
    """

    def __init__(
        self,
        config_path: Optional[str] = None,
        params: Optional[Dict[str, Any]] = None,
        *,
        engine: Optional[MaoOCR] = None,
    ) -> None:
        given = dict(params or {})
        self.text_score = float(given.pop("Global.text_score", 0.5))
        self.use_det = bool(given.pop("Global.use_det", True))
        self.use_cls = bool(given.pop("Global.use_cls", True))
        self.use_rec = bool(given.pop("Global.use_rec", True))
        self.return_word_box = bool(given.pop("Global.return_word_box", False))
        self.return_single_char_box = bool(given.pop("Global.return_single_char_box", False))
        given.pop("Global.log_level", None)
        ignored = sorted(given) + (["config_path"] if config_path is not None else [])
        if ignored:
            warnings.warn(f"maoocr: {', '.join(ignored)}: of no effect here", stacklevel=2)
        self.engine = engine or MaoOCR()

    def __call__(
        self,
        img_content: Any,
        use_det: Optional[bool] = None,
        use_cls: Optional[bool] = None,
        use_rec: Optional[bool] = None,
        return_word_box: Optional[bool] = None,
        return_single_char_box: Optional[bool] = None,
        text_score: Optional[float] = None,
        box_thresh: Optional[float] = None,
        unclip_ratio: Optional[float] = None,
    ) -> Union[RapidOCROutput, TextDetOutput, TextRecOutput]:
        """Reads a picture: a path, a URL, bytes, a Pillow picture or a BGR array.

        As there, what is given stays set for later calls. ``box_thresh`` and ``unclip_ratio`` have no effect: the engine
        takes the values that its detector was tuned with.

        Returns:
            :class:`RapidOCROutput`; :class:`TextDetOutput` with ``use_rec=False``; :class:`TextRecOutput` with
            ``use_det=False``, for a picture that is one line.
        """
        for name, value in (
            ("use_det", use_det),
            ("use_cls", use_cls),
            ("use_rec", use_rec),
            ("return_word_box", return_word_box),
            ("return_single_char_box", return_single_char_box),
            ("text_score", text_score),
        ):
            if value is not None:
                setattr(self, name, value)
        if box_thresh is not None or unclip_ratio is not None:
            warnings.warn("maoocr: box_thresh and unclip_ratio have no effect here", stacklevel=2)
        picture = _loaded(img_content)
        # A line that is known to be upright needs no classifier.
        wanted = {} if self.use_cls else {"document_type": "simple_text"}
        if not self.use_det and not self.use_rec:
            raise ValueError("use_det and use_rec: at least one of them")
        if not self.use_rec:
            return self._found(picture)
        if not self.use_det:
            return self._line(picture, wanted)
        return self._read(picture, wanted)

    def _found(self, picture: Any) -> TextDetOutput:
        began = time.perf_counter()
        found = self.engine.detect(picture, channels="BGR")
        if not found:
            return TextDetOutput()
        boxes = np.array([line["box"] for line in found], dtype=np.float32)
        scores = tuple(float(line["score"]) for line in found)
        return TextDetOutput(_bgr(picture), boxes, scores, time.perf_counter() - began)

    def _line(self, picture: Any, wanted: Dict[str, Any]) -> TextRecOutput:
        began = time.perf_counter()
        lines = self.engine.read_lines(picture, channels="BGR", requirements=wanted)
        lines = [line for line in lines if line.text.strip()]
        if not lines:
            return TextRecOutput()
        return TextRecOutput(
            [_bgr(picture)],
            tuple(line.text for line in lines),
            tuple(float(line.confidence) for line in lines),
            tuple(self._words(line) for line in lines),
            time.perf_counter() - began,
        )

    def _read(self, picture: Any, wanted: Dict[str, Any]) -> RapidOCROutput:
        result = self.engine.recognize_with_requirements(picture, wanted, channels="BGR")
        lines = [line for line in result.pages[0].lines if line.confidence >= self.text_score] if result.pages else []
        if not lines:
            return RapidOCROutput()
        times = result.pages[0].timings
        return RapidOCROutput(
            img=np.asarray(result.image())[:, :, ::-1].copy(),
            boxes=np.array([line.box for line in lines], dtype=np.float32),
            txts=tuple(line.text for line in lines),
            scores=tuple(float(line.confidence) for line in lines),
            word_results=tuple(self._words(line) for line in lines),
            elapse_list=[float(times.get(stage, 0.0)) for stage in ("detect", "line_orientation", "recognise")],
            result=result,
        )

    def _words(self, line: Line) -> Tuple[WordResult, ...]:
        if not self.return_word_box:
            return ()
        words = [(word.text, float(word.confidence), word.box) for word in line.words]
        if not self.return_single_char_box:
            return tuple(words)
        return tuple(char for word in words for char in _characters(*word))


def _characters(text: str, score: float, box: List[List[float]]) -> List[WordResult]:
    """A word's characters, which share its width evenly."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = box
    count = len(text)

    def at(share: float) -> Tuple[List[float], List[float]]:
        return [ax + (bx - ax) * share, ay + (by - ay) * share], [dx + (cx - dx) * share, dy + (cy - dy) * share]

    parts: List[WordResult] = []
    for index, char in enumerate(text):
        (upper, lower), (next_upper, next_lower) = at(index / count), at((index + 1) / count)
        parts.append((char, score, [upper, next_upper, next_lower, lower]))
    return parts


def _loaded(given: Any) -> Any:
    if isinstance(given, str) and given.startswith(("http://", "https://")):
        with urllib.request.urlopen(given, timeout=60) as response:
            return response.read((64 << 20) + 1)
    if isinstance(given, (str, Path)):
        # Read now: the caller may remove it before the result is drawn.
        with open(given, "rb") as file:
            return file.read((64 << 20) + 1)
    if isinstance(given, io.IOBase):
        return given.read()
    return given


def _bgr(given: Any) -> Any:
    """The picture as an array, as the other package hands it back; none where only the engine can decode it."""
    if isinstance(given, np.ndarray):
        return given
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(given)) if isinstance(given, bytes) else given
        return np.asarray(picture.convert("RGB"))[:, :, ::-1].copy()
    except OSError:
        return None
