"""Many files on a Ray cluster.

>>> import maoocr.ray
>>> maoocr.ray.run("s3://bucket/scans", "s3://bucket/text")

reads a folder into a Parquet data set (see :mod:`maoocr.bulk` for its layout). Finished work is never repeated, however often
and wherever the job is started, and no file is in the data set twice. :class:`Recognizer` is the stage alone, for your own
data sets.

Each worker process has an engine with one thread. The driver loads the models once, Ray's object store distributes them, and
each node keeps one copy on disk.
"""

from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, cast

import ray
import ray.data

from . import _share, bulk
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

    def read(job: bulk.Job, todo: List[bulk.Chunk]) -> Iterator[Dict[str, Any]]:
        if not ray.is_initialized():
            ray.init()
        there: Dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        room = int(there.get("CPU", 1) // max(num_cpus, 0.01))
        if num_gpus:
            room = min(room, int(there.get("GPU", 0) // num_gpus))
        count = max(1, min(workers or room, len(todo)))
        shared = share_models(requirements=job.requirements, device=device, models=models)
        items = [{"chunk": chunk.pack()} for chunk in todo]
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
            yield {name: values[0].item() for name, values in batch.items()}

    return bulk.run_job(
        read,
        source,
        output,
        requirements=requirements,
        options=options,
        files_a_chunk=files_a_chunk,
        on_chunk=on_chunk,
    )


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
        self.job = bulk.job_without_files(requirements, options)
        self.engine = _engine(shared, device)

    def __call__(self, batch: Dict[str, Any]) -> Any:
        import pyarrow as pa

        paths = batch.get("path", [None] * len(batch[self.column]))
        made = bulk.table(self.engine, paths, batch[self.column], self.job)
        for name, values in batch.items():
            if name != self.column and name not in made.column_names:
                made = made.append_column(name, pa.array(list(values)))
        return made


def share_models(
    *, requirements: Optional[Mapping[str, Any]] = None, device: str = "auto", models: Optional[str] = None
) -> Any:
    """Puts the models for some requirements into Ray's object store, fetching missing ones first; returns a reference."""
    digest, files = _share.collect(requirements, device, models)
    # In a list, so that workers get the reference itself and only the first of a node takes the bytes.
    return [digest, ray.put(files)]


def _engine(shared: Optional[List[Any]], device: str) -> MaoOCR:
    if shared is None:
        return MaoOCR(device=device, threads=1)
    digest, reference = shared
    return _share.engine(digest, lambda: cast(_share.Files, ray.get(reference)), device)


class _Worker:
    """A worker process: an engine, and chunks one after the other."""

    def __init__(self, job: bulk.Job, shared: List[Any], device: str) -> None:
        self.job = job
        self.engine = _engine(shared, device)

    def __call__(self, batch: Dict[str, Any]) -> Dict[str, List[Any]]:
        done: List[Dict[str, Any]] = []
        for item in batch["chunk"]:
            done.append(bulk.run_chunk(self.job, bulk.Chunk.unpack(item), self.engine))
        return {key: [each[key] for each in done] for key in bulk.DONE}
