"""Many files on a Ray cluster.

>>> import maoocr.ray
>>> maoocr.ray.run("s3://bucket/scans", "s3://bucket/text")

reads a folder into a Parquet data set (see :mod:`maoocr.bulk` for its layout). Finished work is never repeated, however often
and wherever the job is started, and no file is in the data set twice. :class:`Recognizer` is the stage alone, for your own
data sets.

Each worker process has an engine with one thread. The driver loads the models once, Ray's object store distributes them, and
each node keeps one copy on disk.
"""

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import ray
import ray.data

from . import bulk
from ._engine import MaoOCR

__all__ = ["Recognizer", "run", "share_models"]


def run(
    source: str,
    output: str,
    *,
    requirements: Optional[Mapping[str, Any]] = None,
    options: Optional[Mapping[str, Any]] = None,
    files_a_chunk: int = bulk.FILES_A_CHUNK,
    workers: Optional[int] = None,
    num_cpus: float = 1,
    num_gpus: float = 0,
    device: str = "auto",
    models: Optional[str] = None,
    on_chunk: Optional[Callable[[Dict[str, Any]], object]] = None,
) -> Dict[str, Any]:
    """Reads a folder into a Parquet data set, using the Ray cluster.

    Args:
        source: Folder of images and PDFs, including its subfolders: a path that all nodes can access, or a URL
            (``s3://…``, ``gs://…``).
        output: Folder of the data set, likewise.
        requirements: As for :meth:`MaoOCR.recognize_with_requirements`.
        options: As for :meth:`MaoOCR.recognize`; ``structure`` is off unless it is set here, and adds the column
            ``markdown``.
        files_a_chunk: Files per chunk, the most that are lost if a worker dies. Only the first run of a job uses it.
        workers: Worker processes. Default: as many as the cluster has room for.
        num_cpus: CPUs per worker.
        num_gpus: GPUs per worker, or a fraction of one.
        device: As for :class:`MaoOCR`.
        models: Folder of the models on the calling machine.
        on_chunk: Called with what :func:`maoocr.bulk.run_chunk` returns, for each chunk.

    Returns:
        ``files``; ``read`` now; ``errors`` among the chunks that ran; ``chunks`` that ran; ``seconds`` of work.
    """
    job, chunks = bulk.open_job(
        source, output, requirements=requirements, options=options, files_a_chunk=files_a_chunk
    )
    todo = bulk.pending(job, chunks)
    total = {"files": sum(len(c.names) for c in chunks), "read": 0, "errors": 0, "chunks": 0, "seconds": 0.0}
    if todo:
        if not ray.is_initialized():
            ray.init()
        there: Dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        room = int(there.get("CPU", 1) // max(num_cpus, 0.01))
        if num_gpus:
            room = min(room, int(there.get("GPU", 0) // num_gpus))
        count = max(1, min(workers or room, len(todo)))
        shared = share_models(requirements=job.requirements, device=device, models=models)
        # As JSON: names may be what Arrow's strings can't hold.
        items = [{"chunk": json.dumps(dataclasses.astuple(chunk))} for chunk in todo]
        # A block a chunk, so that whoever is free takes the next one.
        data = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            _Worker,
            fn_constructor_args=(job, shared, device),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=count),
            num_cpus=num_cpus,
            num_gpus=num_gpus,
        )
        # One after the other, as they come.
        for batch in data.iter_batches(batch_size=1, prefetch_batches=0):
            done = {name: values[0].item() for name, values in batch.items()}
            total["read"] += done["read"]
            total["errors"] += done["errors"]
            total["chunks"] += 1
            total["seconds"] += done["seconds"]
            if on_chunk is not None:
                on_chunk(done)
    bulk.sweep(job, chunks)
    return total


class Recognizer:
    """A stage for data sets with a column of file contents: adds the columns of :func:`maoocr.bulk.schema`.

    >>> data = ray.data.read_binary_files("s3://bucket/scans", include_paths=True)
    >>> data.map_batches(Recognizer, fn_constructor_kwargs={"shared": share_models()}, batch_size=16,
    ...                  compute=ray.data.ActorPoolStrategy(size=8)).write_parquet("s3://bucket/text")

    Args:
        column: The column with the bytes. It is left out of the result.
        requirements: As for :meth:`MaoOCR.recognize_with_requirements`.
        options: As for :meth:`MaoOCR.recognize`.
        shared: Models from :func:`share_models`. Default: those that the node has, or fetches.
        device: As for :class:`MaoOCR`.
    """

    def __init__(
        self,
        column: str = "bytes",
        *,
        requirements: Optional[Mapping[str, Any]] = None,
        options: Optional[Mapping[str, Any]] = None,
        shared: Any = None,
        device: str = "auto",
    ) -> None:
        self.column = column
        self.job = bulk.Job("", "", 1, dict(requirements or {}), {"structure": False, **(options or {})})
        self.engine = _engine(shared, device)

    def __call__(self, batch: Dict[str, Any]) -> Any:
        import pyarrow as pa

        paths = batch.get("path", [None] * len(batch[self.column]))
        rows = [bulk.row(self.engine, path, bytes(data), self.job) for path, data in zip(paths, batch[self.column])]
        made = pa.Table.from_pylist(rows, schema=bulk.schema())
        for name, values in batch.items():
            if name != self.column and name not in made.column_names:
                made = made.append_column(name, pa.array(list(values)))
        return made


def share_models(
    *, requirements: Optional[Mapping[str, Any]] = None, device: str = "auto", models: Optional[str] = None
) -> Any:
    """Puts the models for some requirements into Ray's object store, fetching missing ones first; returns a reference."""
    engine = MaoOCR(device=device, models=models)
    plan = engine.prepare({"batch_processing": True, **(requirements or {})})
    named = [plan[part] for part in ("detector", "recogniser", "line_orientation", "page_orientation") if plan[part]]
    known = {entry["model"]["name"]: entry for entry in _entries(engine)}
    files: Dict[str, bytes] = {}
    for name in named:
        for file in filter(None, (name, known[name]["model"].get("dictionary"))):
            path = known[file]["path"]
            with open(path, "rb") as opened:
                files[os.path.basename(path)] = opened.read()
    # In a list, so that workers get the reference itself and only the first of a node takes the bytes.
    return [_digest(files), ray.put(files)]


def _entries(engine: MaoOCR) -> List[Dict[str, Any]]:
    from ._models import models

    return models(engine.models_folder)


def _digest(files: Mapping[str, bytes]) -> str:
    hashed = hashlib.sha256()
    for name in sorted(files):
        hashed.update(name.encode() + hashlib.sha256(files[name]).digest())
    return hashed.hexdigest()[:24]


def _engine(shared: Optional[List[Any]], device: str) -> MaoOCR:
    if shared is None:
        return MaoOCR(device=device, threads=1)
    digest, reference = shared
    folder = os.path.join(tempfile.gettempdir(), f"maoocr-models-{os.getuid()}-{digest}")
    if not os.path.isdir(folder):
        files: Dict[str, bytes] = ray.get(reference)
        made = tempfile.mkdtemp(prefix="maoocr-models-")
        for name, data in files.items():
            with open(os.path.join(made, os.path.basename(name)), "wb") as file:
                file.write(data)
        try:
            os.rename(made, folder)
        except OSError:
            # Another worker of this node was first.
            shutil.rmtree(made, ignore_errors=True)
    return MaoOCR(device=device, models=folder, threads=1, offline=True)


class _Worker:
    """A worker process: an engine, and chunks one after the other."""

    def __init__(self, job: bulk.Job, shared: List[Any], device: str) -> None:
        self.job = job
        self.engine = _engine(shared, device)

    def __call__(self, batch: Dict[str, Any]) -> Dict[str, List[Any]]:
        done: List[Dict[str, Any]] = []
        for item in batch["chunk"]:
            number, names, older = json.loads(item)
            chunk = bulk.Chunk(number, tuple(names), tuple(older))
            done.append(bulk.run_chunk(self.job, chunk, self.engine))
        keys: Tuple[str, ...] = ("chunk", "files", "read", "errors", "bytes", "seconds", "process")
        return {key: [each[key] for each in done] for key in keys}
