"""Models on their way from the driver of a bulk job to its workers."""

import hashlib
import os
import shutil
import tempfile
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from ._engine import MaoOCR
from ._models import models as _known

#: Contents of model files, by name.
Files = Dict[str, bytes]


def collect(requirements: Optional[Mapping[str, Any]], device: str, models: Optional[str]) -> Tuple[str, Files]:
    """The files of the models that some requirements need, fetched first where they are missing, and their digest."""
    plan = MaoOCR(device=device, models=models).prepare({"batch_processing": True, **(requirements or {})})
    named = [plan[part] for part in ("detector", "recogniser", "line_orientation", "page_orientation") if plan[part]]
    known = {entry["model"]["name"]: entry for entry in _known(models)}
    files: Files = {}
    for name in named:
        for file in filter(None, (name, known[name]["model"].get("dictionary"))):
            path = known[file]["path"]
            with open(path, "rb") as opened:
                files[os.path.basename(path)] = opened.read()
    hashed = hashlib.sha256()
    for name in sorted(files):
        hashed.update(name.encode() + hashlib.sha256(files[name]).digest())
    return hashed.hexdigest()[:24], files


def engine(digest: str, fetch: Callable[[], Files], device: str) -> MaoOCR:
    """A worker's engine, with one thread. Only the first worker of a node fetches the files; they stay on its disk."""
    folder = os.path.join(tempfile.gettempdir(), f"maoocr-models-{_user()}-{digest}")
    if not os.path.isdir(folder):
        made = tempfile.mkdtemp(prefix="maoocr-models-")
        for name, data in fetch().items():
            with open(os.path.join(made, os.path.basename(name)), "wb") as file:
                file.write(data)
        try:
            os.rename(made, folder)
        except OSError:
            # Another worker of this node was first.
            shutil.rmtree(made, ignore_errors=True)
    return MaoOCR(device=device, models=folder, threads=1, offline=True)


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
