"""A document loader for LangChain.

>>> from maoocr.langchain import MaoOCRLoader
>>> documents = MaoOCRLoader(["scan.pdf", "receipt.jpg"]).load()
"""

import os
from typing import Any, Iterator, List, Mapping, Optional, Union

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document

from ._engine import MaoOCR
from .compat import shared_engine

__all__ = ["MaoOCRLoader"]

_Path = Union[str, "os.PathLike[str]"]


class MaoOCRLoader(BaseLoader):
    """Reads images and PDFs into documents.

    Args:
        files: One path or several.
        mode: ``"page"`` for one document per page, ``"single"`` for one per file.
        markdown: Whether the content is Markdown of the structure instead of plain text. Only with ``"single"``.
        requirements: As for :meth:`MaoOCR.recognize_with_requirements`.
        engine: The engine to use. Default: one that all loaders share.
        options: As for :meth:`MaoOCR.recognize`.

    The metadata are ``source``, ``page`` (from 0; with ``"page"``), ``total_pages``, ``confidence`` and ``width`` and
    ``height`` in px (with ``"page"``).
    """

    def __init__(
        self,
        files: "Union[_Path, List[_Path]]",
        *,
        mode: str = "page",
        markdown: bool = False,
        requirements: Optional[Mapping[str, Any]] = None,
        engine: Optional[MaoOCR] = None,
        **options: Any,
    ) -> None:
        if mode not in ("page", "single"):
            raise ValueError(f"mode: {mode!r} is neither 'page' nor 'single'")
        if markdown and mode != "single":
            raise ValueError("markdown: only with mode='single', as paragraphs and tables go on over pages")
        self.files = [files] if isinstance(files, (str, os.PathLike)) else list(files)
        self.mode, self.markdown, self.options = mode, markdown, options
        self.requirements = dict(requirements or {})
        self.engine = engine

    def lazy_load(self) -> Iterator[Document]:
        """Yields documents as they are read."""
        engine = self.engine or shared_engine()
        for file in self.files:
            result = engine.recognize_with_requirements(file, self.requirements, **self.options)
            about = {"source": os.fspath(file), "total_pages": len(result.pages)}
            if self.mode == "single":
                text = result.to_markdown() if self.markdown else result.text
                yield Document(page_content=text, metadata={**about, "confidence": result.confidence})
                continue
            for page in result.pages:
                own = {"page": page.index, "confidence": page.confidence, "width": page.width, "height": page.height}
                yield Document(page_content=page.text, metadata={**about, **own})
