"""Models: where they are, and how they get there."""

import importlib.util
import json
import os
import sys
from typing import Any, Callable, Dict, Iterable, List, Optional, Union, cast

from . import _maoocr

Progress = Callable[[str, Optional[int], Optional[int]], object]
_Path = Union[str, "os.PathLike[str]"]


def pull(
    names: Iterable[str] = (),
    *,
    models: "Optional[_Path]" = None,
    offline: bool = False,
    progress: Optional[Progress] = None,
) -> str:
    """Fetches models and verifies them; what is there already stays.

    Args:
        names: As in :func:`models`; ``["all"]`` for everything. Default: those that ordinary calls choose among (PP-OCRv6
            tiny and small, orientation: 51 MB).
        models: Folder to put them into. Default: as for :class:`MaoOCR`.
        offline: Only verify.
        progress: As for :class:`MaoOCR`.

    Returns:
        The folder.

    Raises:
        ModelError: A model can't be fetched, or isn't there and may not be.
    """
    told = progress_for(progress)
    folder = _maoocr.pull_models(list(names), models=models, packaged=packaged(), offline=offline, progress=told)
    return os.fspath(folder)


def models(folder_: "Optional[_Path]" = None) -> List[Dict[str, Any]]:
    """All models that are known, each with ``model`` (name, task, tier, languages, bytes, licence …), ``installed`` and
    ``path``."""
    return cast(List[Dict[str, Any]], json.loads(_maoocr.list_models(models=folder_, packaged=packaged())))


def packaged() -> Optional[str]:
    """The folder of the package ``maoocr-models``, where it is installed."""
    found = importlib.util.find_spec("maoocr_models")
    folders = found.submodule_search_locations if found is not None else None
    return next(iter(folders), None) if folders is not None else None


def progress_for(given: Optional[Progress]) -> Optional[Progress]:
    """What is called while models are fetched."""
    return given if given is not None else _Shown()


class _Shown:
    """Progress on standard error: a line that changes where somebody watches, else a line a model."""

    def __init__(self) -> None:
        self._begun = ""

    def __call__(self, name: str, done: Optional[int], total: Optional[int]) -> None:
        out = sys.stderr
        if out is None:
            return
        if done is None or total is None:
            out.write(f"maoocr: {name}\n")
        elif out.isatty():
            end = "\n" if done >= total else ""
            out.write(f"\rmaoocr: {name}: {done / 1e6:.1f} of {total / 1e6:.1f} MB{end}")
        elif self._begun != name:
            self._begun = name
            out.write(f"maoocr: fetching {name} ({total / 1e6:.1f} MB)\n")
        out.flush()
