"""Many files on a Spark cluster.

>>> import maoocr.spark
>>> maoocr.spark.run(spark, "s3://bucket/scans", "s3://bucket/text")

reads a folder into a Parquet data set (see :mod:`maoocr.bulk` for its layout). Finished work is never repeated, however often
and wherever the job is started, and no file is in the data set twice. :func:`recognize` is the stage alone, for your own data
frames.

Each Python worker has an engine with one thread. The driver loads the models once, a broadcast variable distributes them, and
each node keeps one copy on disk. With Spark Connect, which has no broadcast variables, install ``maoocr[models]`` on the
workers instead: they use it or fetch the models themselves.
"""

from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, cast

import pyarrow
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType
from pyspark.sql.utils import is_remote

from . import _share, bulk
from ._engine import MaoOCR

__all__ = ["COLUMNS", "recognize", "run", "share_models"]

#: The columns of :func:`maoocr.bulk.schema`.
COLUMNS = (
    "path string, text string, confidence float, pages int, "
    "lines array<struct<page: int, text: string, confidence: float, box: array<float>>>, "
    "plan string, markdown string, error struct<code: string, detail: string>, seconds float"
)


def run(
    spark: SparkSession,
    source: str,
    output: str,
    *,
    requirements: Optional[Mapping[str, Any]] = None,
    options: Optional[Mapping[str, Any]] = None,
    files_a_chunk: int = bulk.FILES_A_CHUNK,
    device: str = "auto",
    models: Optional[str] = None,
) -> Dict[str, Any]:
    """Reads a folder into a Parquet data set, using the Spark cluster: one task per chunk.

    Args:
        spark: The session.
        source: Folder of images and PDFs, including its subfolders: a path that all nodes can access, or a URL
            (``s3://…``, ``gs://…``).
        output: Folder of the data set, likewise.
        requirements: As for :meth:`MaoOCR.recognize_with_requirements`.
        options: As for :meth:`MaoOCR.recognize`; ``structure`` is off unless it is set here, and adds the column
            ``markdown``.
        files_a_chunk: Files per chunk, the most that are lost if a worker dies. Only the first run of a job uses it.
        device: As for :class:`MaoOCR`.
        models: Folder of the models on the calling machine.

    Returns:
        ``files``; ``read`` now; ``errors`` among the chunks that ran; ``chunks`` that ran; ``seconds`` of work.
    """

    def read(job: bulk.Job, todo: List[bulk.Chunk]) -> Iterator[Dict[str, Any]]:
        shared = share_models(spark, requirements=job.requirements, device=device, models=models)

        def work(batches: Iterable[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
            engine = _engine(shared, device)
            for batch in batches:
                for packed in batch.column(0).to_pylist():
                    done = bulk.run_chunk(job, bulk.Chunk.unpack(packed), engine)
                    yield pyarrow.RecordBatch.from_pylist([{name: done[name] for name in bulk.DONE}])

        packed = spark.createDataFrame([(chunk.pack(),) for chunk in todo], "chunk string")
        # From one partition, round robin gives each task exactly one chunk.
        done = packed.coalesce(1).repartition(len(todo)).mapInArrow(
            work, "chunk long, files long, read long, errors long, bytes long, seconds double, process long"
        )
        for row in done.collect():
            yield row.asDict()

    return bulk.run_job(
        read, source, output, requirements=requirements, options=options, files_a_chunk=files_a_chunk
    )


def recognize(
    data: DataFrame,
    column: str = "content",
    *,
    requirements: Optional[Mapping[str, Any]] = None,
    options: Optional[Mapping[str, Any]] = None,
    shared: Any = None,
    device: str = "auto",
) -> DataFrame:
    """Reads a column of file contents: adds the columns of :func:`maoocr.bulk.schema` and drops this one.

    >>> data = spark.read.format("binaryFile").load("s3://bucket/scans")
    >>> recognize(data, shared=share_models(spark)).write.parquet("s3://bucket/text")

    Args:
        data: A data frame; ``path``, if there is such a column, is kept.
        column: The column with the bytes.
        requirements: As for :meth:`MaoOCR.recognize_with_requirements`.
        options: As for :meth:`MaoOCR.recognize`.
        shared: Models from :func:`share_models`, for the same requirements. Default: those that the node has, or fetches.
        device: As for :class:`MaoOCR`.
    """
    job = bulk.job_without_files(requirements, options)
    ours = _columns()
    kept = [field for field in data.schema.fields if field.name not in ours.names and field.name != column]
    names = [field.name for field in kept]

    def work(batches: Iterable[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        engine = _engine(shared, device)
        for batch in batches:
            # Few at a time: a batch may be 10,000 files.
            for start in range(0, batch.num_rows, _FILES_A_BATCH):
                part = batch.slice(start, _FILES_A_BATCH)
                paths = part.column("path").to_pylist() if "path" in part.schema.names else [None] * part.num_rows
                made = bulk.table(engine, paths, (cell.as_py() for cell in part.column(column)), job)
                for name in names:
                    made = made.append_column(name, part.column(name))
                yield from made.to_batches()

    return data.mapInArrow(work, StructType([*ours.fields, *kept]))


#: Rows that :func:`recognize` passes on together.
_FILES_A_BATCH = 16


def share_models(
    spark: SparkSession,
    *,
    requirements: Optional[Mapping[str, Any]] = None,
    device: str = "auto",
    models: Optional[str] = None,
) -> Any:
    """Broadcasts the models for some requirements, fetching missing ones first; returns a reference, or None with Spark
    Connect."""
    if is_remote():
        return None
    digest, files = _share.collect(requirements, device, models)
    return [digest, spark.sparkContext.broadcast(files)]


def _columns() -> StructType:
    return cast(StructType, StructType.fromDDL(COLUMNS))


#: Engines of this process, which Spark uses for many tasks, by models and device.
_engines: Dict[Tuple[str, str], MaoOCR] = {}


def _engine(shared: Optional[List[Any]], device: str) -> MaoOCR:
    digest = shared[0] if shared is not None else ""
    if (digest, device) not in _engines:
        if shared is None:
            made = MaoOCR(device=device, threads=1)
        else:
            broadcast = shared[1]
            made = _share.engine(digest, lambda: cast(_share.Files, broadcast.value), device)
        _engines[digest, device] = made
    return _engines[digest, device]
