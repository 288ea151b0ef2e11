"""Results: dictionaries whose fields are also attributes.

Coordinates are pixels of the page as a person sees it (EXIF applied), x to the right and y down. A box is four corners
``[[x, y], …]``, clockwise from the top left of the text it holds.
"""

import datetime
import os
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple, Union

if TYPE_CHECKING:
    from PIL.Image import Image

    from ._engine import MaoOCR
    from ._input import Source
    from ._maoocr import Document

Box = List[List[float]]

__all__ = ["Block", "Box", "Line", "Page", "Region", "Result", "Word"]


class _Record(Dict[str, Any]):
    """A dictionary whose fields can be read as attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has no field {name!r}") from None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict.__repr__(self)})"


class Word(_Record):
    """A word and its position."""

    text: str
    #: Mean confidence of its characters, 0 to 1.
    confidence: float
    #: Four corners, px.
    box: Box

    def __str__(self) -> str:
        return self.text


class Line(_Record):
    """A line of text."""

    text: str
    #: Mean confidence of its characters, 0 to 1.
    confidence: float
    #: Four corners, px. The text runs from the first to the second, or, where it is vertical, from the first to the
    #: fourth.
    box: Box
    #: In reading order. Empty in a line of a live stream.
    words: List[Word]
    #: Whether it runs from top to bottom with upright characters.
    vertical: bool
    #: Its page, from 0. Only in streams.
    page: int
    #: Its index on the page. Only in streams: in a live stream, a later line replaces the one with the same index.
    index: int
    #: In a live stream: the line with this index is not in the result.
    withdrawn: bool

    def __str__(self) -> str:
        return self.text


class Block(_Record):
    """A paragraph."""

    kind: str
    box: Box
    #: Its lines, as indices into the page's ``lines``.
    lines: List[int]


class Region(_Record):
    """A part of a page: ``title``, ``heading``, ``paragraph``, ``list``, ``table``, ``figure``, ``caption``, ``formula``,
    ``code``, ``footnote``, ``header``, ``footer``, ``page_number`` or ``unread``."""

    kind: str
    box: Box
    #: Confidence of its kind, 0 to 1.
    confidence: float
    #: As continuous text: lines joined, hyphens at line ends resolved.
    text: str


class Page(_Record):
    """A page."""

    #: Index in the file, from 0.
    index: int
    text: str
    #: Mean confidence of its characters, 0 to 1; 0 where there is no text.
    confidence: float
    #: px
    width: int
    #: px
    height: int
    #: Pixels per inch, if the file states a plausible resolution.
    dpi: Optional[float]
    #: Clockwise rotation that makes the text upright, degrees: 0, 90, 180 or 270.
    turn: int
    #: In reading order.
    lines: List[Line]
    #: Paragraphs, in reading order.
    blocks: List[Block]
    #: The parts of the page, in reading order; without ``structure``, paragraphs only.
    regions: List[Region]
    #: What executed the models, or ``text layer``.
    device: str
    #: Time of each stage, s.
    timings: Dict[str, float]

    @property
    def words(self) -> List[Word]:
        """All words, in reading order."""
        return [word for line in self.lines for word in line.words]

    def __str__(self) -> str:
        return self.text


class Result(_Record):
    """The text of an image or document.

    A dictionary with the fields of the HTTP API's response, each also available as an attribute. A document of one page
    also has that page's ``lines``, ``blocks``, ``width`` and ``height`` at the top level.
    """

    #: All text; an empty line between pages.
    text: str
    #: Mean confidence of the characters, 0 to 1; 0 where there is no text.
    confidence: float
    #: Duration of the call, s.
    processing_time: float
    #: Names of the models that ran; none if all text came from the file's own layer.
    selected_models: List[str]
    #: What executed the models.
    device: str
    #: The requested BCP 47 tag, or ``auto``.
    language: str
    #: Which models and stages were chosen, and why (``plan["reasons"]``).
    plan: Dict[str, Any]
    pages: List[Page]
    #: PDF pages that couldn't be rendered: ``index`` from 0, ``code``, ``detail``.
    lost_pages: List[Dict[str, Any]]

    def __init__(
        self,
        fields: Dict[str, Any],
        document: "Optional[Document]" = None,
        source: "Optional[Source]" = None,
        engine: "Optional[MaoOCR]" = None,
    ) -> None:
        super().__init__(fields)
        self["pages"] = [_page(page) for page in fields["pages"]]
        if "lines" in fields:
            self["lines"] = self["pages"][0]["lines"]
            self["blocks"] = self["pages"][0]["blocks"]
        # Not among the fields.
        self._document = document
        self._source = source
        self._engine = engine

    @property
    def lines(self) -> List[Line]:
        """All lines, in reading order, page after page."""
        return [line for page in self.pages for line in page.lines]

    @property
    def words(self) -> List[Word]:
        """All words, in reading order, page after page."""
        return [word for line in self.lines for word in line.words]

    @property
    def blocks(self) -> List[Block]:
        """All paragraphs; their ``lines`` are indices into their own page's."""
        return [block for page in self.pages for block in page.blocks]

    def to_dict(self) -> Dict[str, Any]:
        """Plain dictionaries, lists, strings and numbers, as ``json.dumps`` accepts them."""
        plain: Dict[str, Any] = _plain(self)
        return plain

    def to_markdown(self, title: str = "") -> str:
        """GitHub Flavored Markdown with headings, lists and tables, as from ``maoocr recognize --format md``. A result that
        was read with ``structure=False`` has paragraphs only."""
        return self.export("md", title=title).decode()

    def to_html(self, title: str = "") -> str:
        """A single HTML file with embedded figures."""
        return self.export("html", title=title).decode()

    def export(self, format: str, *, title: str = "") -> bytes:
        """The result in another format.

        Args:
            format: ``txt``, ``md``, ``html``, ``json``, ``hocr``, ``alto``, ``page`` (PAGE-XML), ``tsv``, ``csv`` (UTF-8),
                ``xlsx`` or ``docx``.
            title: The document's title, if the format has one.

        Raises:
            InputError: The format is unknown, or the result was unpickled and holds only its fields.
        """
        name = self._source.name if self._source else ""
        return self._read().export(format, title=title, source=name, language=self._language(), date=_now())

    def to_pdf(self, path: "Optional[Union[str, os.PathLike[str]]]" = None, *, title: str = "", pdfa: bool = False) -> bytes:
        """A searchable PDF: pages with invisible text. For a PDF, the original bytes with an incremental update; for images,
        a new PDF.

        Args:
            path: Also write it to this file.
            title: Title of a new PDF.
            pdfa: Make the new PDF a PDF/A-2b.

        The source is read again: a file must still exist, and an array must be unchanged.
        """
        source, engine = self._origin()
        data, shape = source.load()
        made = engine._native.pdf(
            self._read(),
            data,
            shape,
            source.request,
            engine._cancel(),
            title=title,
            language=self._language(),
            date=_now(),
            archival=pdfa,
        )
        if path is not None:
            with open(path, "wb") as file:
                file.write(made)
        return made

    def image(self, page: int = 0) -> "Image":
        """A page as the engine saw it, as a Pillow image in mode RGB. The source is read again.

        Args:
            page: Index in ``pages``.
        """
        from PIL import Image

        source, engine = self._origin()
        data, shape = source.load()
        request = source.with_pages([self.pages[page].index])
        width, height, rgb = engine._native.pixels(data, shape, request, engine._cancel())
        return Image.frombytes("RGB", (width, height), rgb)

    def draw(
        self, path: "Optional[Union[str, os.PathLike[str]]]" = None, *, page: int = 0, words: bool = False
    ) -> "Image":
        """A page with boxes around its lines, green for high and red for low confidence. Needs Pillow.

        Args:
            path: Also write the image to this file.
            page: Index in ``pages``.
            words: Draw boxes around words instead.
        """
        from PIL import ImageDraw

        picture = self.image(page)
        canvas = ImageDraw.Draw(picture)
        shown = self.pages[page]
        for item in shown.words if words else shown.lines:
            sure = min(max((item["confidence"] - 0.5) * 2.0, 0.0), 1.0)
            corners = [(x, y) for x, y in item["box"]]
            colour = (int(220 * (1 - sure)), int(170 * sure), 40)
            canvas.line([*corners, corners[0]], fill=colour, width=max(2, shown.width // 600))
        if path is not None:
            picture.save(path)
        return picture

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        start = self.text if len(self.text) <= 60 else self.text[:60] + "…"
        return f"<Result: {len(self.pages)} pages, confidence {self.confidence:.3f}, {start!r}>"

    def __reduce__(self) -> Tuple[Any, ...]:
        # What is sent to another process are the fields: neither pixels nor models.
        return Result, (self.to_dict(),)

    def _read(self) -> "Document":
        if self._document is None:
            from .errors import InputError

            raise InputError("invalid_argument", "this result came from another process and holds only its fields")
        return self._document

    def _origin(self) -> "Tuple[Source, MaoOCR]":
        if self._source is None or self._engine is None:
            from .errors import InputError

            raise InputError("invalid_argument", "this result came from another process and holds only its fields")
        return self._source, self._engine

    def _language(self) -> Optional[str]:
        return None if self.language == "auto" else self.language


def _line(fields: Dict[str, Any]) -> Line:
    line = Line(fields)
    line["words"] = [Word(word) for word in fields["words"]]
    return line


def _page(fields: Dict[str, Any]) -> Page:
    page = Page(fields)
    page["lines"] = [_line(line) for line in fields["lines"]]
    page["blocks"] = [Block(block) for block in fields["blocks"]]
    page["regions"] = [Region(region) for region in fields["regions"]]
    return page


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _now() -> str:
    now = datetime.datetime.now(datetime.timezone.utc)
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


