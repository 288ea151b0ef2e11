"""The engine. Use ``maoocr`` instead: this interface may change with every version."""

import os
from typing import Callable, Final, Iterator, List, Optional, Tuple, Union, final

__all__ = [
    "LANGUAGES",
    "VERSION",
    "Cancel",
    "Document",
    "Engine",
    "Stream",
    "list_models",
    "pull_models",
]

VERSION: Final[str]
#: Names of languages and BCP 47 tags that can be asked for.
LANGUAGES: List[str]

_Shape = Tuple[int, int, int]
_Path = Union[str, os.PathLike[str]]
_Progress = Callable[[str, Optional[int], Optional[int]], object]

@final
class Cancel:
    def __new__(cls) -> Cancel: ...
    def cancel(self) -> None: ...
    @property
    def cancelled(self) -> bool: ...

@final
class Document:
    def json(self) -> str: ...
    def export(self, form: str, *, title: str, source: str, language: Optional[str], date: str) -> bytes: ...
    @property
    def turns(self) -> List[int]: ...

@final
class Stream:
    def __iter__(self) -> Iterator[Tuple[str, str]]: ...
    def __next__(self) -> Tuple[str, str]: ...
    def close(self) -> None: ...

@final
class Engine:
    def __new__(
        cls,
        *,
        device: str,
        models: Optional[_Path],
        packaged: Optional[_Path],
        threads: Optional[int],
        low_memory: bool,
        dynamic: bool,
        offline: bool,
        progress: Optional[_Progress],
    ) -> Engine: ...
    @property
    def folder(self) -> os.PathLike[str]: ...
    @property
    def device(self) -> str: ...
    def prepare(self, request: str, cancel: Cancel) -> str: ...
    def read(self, data: bytes, shape: Optional[_Shape], request: str, cancel: Cancel) -> Document: ...
    def stream(self, data: bytes, shape: Optional[_Shape], request: str, cancel: Cancel) -> Stream: ...
    def detect(self, data: bytes, shape: Optional[_Shape], request: str, cancel: Cancel) -> str: ...
    def lines(
        self,
        data: bytes,
        shape: Optional[_Shape],
        quads: Optional[List[List[List[float]]]],
        request: str,
        cancel: Cancel,
    ) -> str: ...
    def pixels(
        self, data: bytes, shape: Optional[_Shape], request: str, cancel: Cancel
    ) -> Tuple[int, int, bytes]: ...
    def pdf(
        self,
        document: Document,
        data: bytes,
        shape: Optional[_Shape],
        request: str,
        cancel: Cancel,
        *,
        title: str,
        language: Optional[str],
        date: str,
        archival: bool,
    ) -> bytes: ...

def pull_models(
    names: List[str],
    *,
    models: Optional[_Path],
    packaged: Optional[_Path],
    offline: bool,
    progress: Optional[_Progress],
) -> os.PathLike[str]: ...
def list_models(*, models: Optional[_Path], packaged: Optional[_Path]) -> str: ...
