"""Many files into one Parquet data set, in chunks that can safely be repeated.

A job has a fixed number of chunks. The hash of a file's name alone decides its chunk, and a chunk's part is named after the
files in it: ``part-0000017-4f0c….parquet``. Therefore a listing of the output shows what is done, a chunk that runs twice
replaces its own part, and if files are added, only those are read. :mod:`maoocr.ray` and
:mod:`maoocr.spark` run chunks on a cluster; :func:`run_chunk` runs one.

A file that can't be read becomes a row with its error. Rows have the columns of :func:`schema`.
"""

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import json
import os
import posixpath
import time
import uuid
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from ._engine import MaoOCR
from ._input import MAX_BYTES
from .errors import MaoOCRError
from .result import Result

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.fs import FileSystem

__all__ = ["EXTENSIONS", "Chunk", "Job", "open_job", "pending", "row", "run_chunk", "run_job", "schema"]

#: File names that are searched for in a folder; the format is detected from the content.
EXTENSIONS = frozenset(
    "jpg jpeg jpe png webp gif bmp dib tif tiff pnm pbm pgm ppm pam pdf".split()
)
#: Describes the job, next to its parts.
MANIFEST = "_maoocr.json"
#: Default number of files per chunk: some minutes of one core, so that a lost worker loses little.
FILES_A_CHUNK = 256


@dataclasses.dataclass(frozen=True)
class Job:
    """What to read, how, and where to write it. It can be sent to other machines.

    Attributes:
        source: Folder of the files: a path, or a URL such as ``s3://bucket/scans``.
        output: Folder of the data set, likewise.
        chunks: Number of chunks, fixed when the job is started.
        requirements: As for :meth:`MaoOCR.recognize_with_requirements`.
        options: As for :meth:`MaoOCR.recognize`.
    """

    source: str
    output: str
    chunks: int
    requirements: Mapping[str, Any]
    options: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Files that are read together.

    Attributes:
        number: Index of the chunk in the job.
        names: Its files, sorted, relative to the job's source.
        older: Earlier parts of this chunk, for a different set of files, as :func:`pending` finds them.
    """

    number: int
    names: Tuple[str, ...]
    older: Tuple[str, ...] = ()

    @property
    def part(self) -> str:
        """Name of its part of the data set."""
        digest = hashlib.sha256("\n".join(self.names).encode("utf-8", "surrogateescape")).hexdigest()
        return f"part-{self.number:07d}-{digest[:16]}.parquet"

    def pack(self) -> str:
        """The chunk as JSON in ASCII, because names may be what other machines' strings can't hold."""
        return json.dumps(dataclasses.astuple(self))

    @classmethod
    def unpack(cls, packed: str) -> "Chunk":
        """The chunk that :meth:`pack` described."""
        number, names, older = json.loads(packed)
        return cls(number, tuple(names), tuple(older))


def schema() -> "pyarrow.Schema":
    """The columns: ``path``; ``text``; ``confidence`` (0 to 1); ``pages``; ``lines`` (page from 0, text, confidence, box of
    8 px coordinates); ``plan`` (JSON); ``markdown`` where the option ``structure`` is set; ``error`` (code, detail), null where
    there is none; ``seconds``."""
    import pyarrow as pa

    line = pa.struct(
        [("page", pa.int32()), ("text", pa.string()), ("confidence", pa.float32()), ("box", pa.list_(pa.float32()))]
    )
    return pa.schema(
        [
            ("path", pa.string()),
            ("text", pa.string()),
            ("confidence", pa.float32()),
            ("pages", pa.int32()),
            ("lines", pa.list_(line)),
            ("plan", pa.string()),
            ("markdown", pa.string()),
            ("error", pa.struct([("code", pa.string()), ("detail", pa.string())])),
            ("seconds", pa.float32()),
        ]
    )


def open_job(
    source: str,
    output: str,
    *,
    requirements: Optional[Mapping[str, Any]] = None,
    options: Optional[Mapping[str, Any]] = None,
    files_a_chunk: int = FILES_A_CHUNK,
) -> Tuple[Job, List[Chunk]]:
    """Starts or resumes a job and lists its files.

    Returns:
        The job and all of its chunks.

    Raises:
        ValueError: The output folder belongs to another job, with a different source or different settings.
    """
    wanted = {"requirements": dict(requirements or {}), "options": {"structure": False, **(options or {})}}
    # Workers have working directories of their own.
    source, output = _absolute(source), _absolute(output)
    names = sorted(_list(source))
    files, folder = _place(output)
    manifest = _join(folder, MANIFEST)
    known = _load(files, manifest)
    if known is None:
        chunks = max(1, -(-len(names) // files_a_chunk))
        known = {"version": 1, "source": source, "chunks": chunks, **wanted}
        files.create_dir(folder, recursive=True)
        _save(files, manifest, json.dumps(known, indent=1).encode())
    else:
        for name, value in {"source": source, **wanted}.items():
            if known.get(name) != value:
                raise ValueError(
                    f"{output} belongs to a job whose {name} is {known.get(name)!r}, not {value!r}: choose another output"
                )
    job = Job(source, output, known["chunks"], wanted["requirements"], wanted["options"])
    members: Dict[int, List[str]] = {}
    for name in names:
        members.setdefault(chunk_of(name, job.chunks), []).append(name)
    return job, [Chunk(number, tuple(members[number])) for number in sorted(members)]


def chunk_of(name: str, chunks: int) -> int:
    """The chunk of a file: by the hash of its name."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % chunks


def pending(job: Job, chunks: Iterable[Chunk]) -> List[Chunk]:
    """The chunks whose part isn't there, with what is there of them. One listing tells."""
    files, folder = _place(job.output)
    there: Dict[str, List[str]] = {}
    for part in _parts(files, folder):
        there.setdefault(part[:12], []).append(part)
    left = []
    for chunk in chunks:
        older = there.get(chunk.part[:12], [])
        if chunk.part not in older:
            left.append(dataclasses.replace(chunk, older=tuple(older)))
    return left


def sweep(job: Job, chunks: Iterable[Chunk]) -> int:
    """Removes parts of which there is a newer one, of files that are gone, and what a killed worker left half written;
    returns how many. Call it when no worker of the job runs any more."""
    files, folder = _place(job.output)
    wanted = {chunk.part for chunk in chunks}
    there = _parts(files, folder)
    done = {part[:12] for part in wanted.intersection(there)}
    numbers = {f"part-{number:07d}" for number in range(job.chunks)}
    gone = numbers - {part[:12] for part in wanted}
    stale = [p for p in there if p not in wanted and (p[:12] in done or p[:12] in gone)]
    for part in stale:
        files.delete_file(_join(folder, part))
    stale_tmp = [p for p in _entries(files, folder) if p.startswith("_tmp-")]
    for part in stale_tmp:
        files.delete_file(_join(folder, part))
    return len(stale) + len(stale_tmp)


def run_job(
    read: Callable[[Job, List[Chunk]], Iterable[Dict[str, Any]]],
    source: str,
    output: str,
    *,
    requirements: Optional[Mapping[str, Any]],
    options: Optional[Mapping[str, Any]],
    files_a_chunk: int,
    on_chunk: Optional[Callable[[Dict[str, Any]], object]] = None,
) -> Dict[str, Any]:
    """Starts or resumes a job, has ``read`` run the chunks that are left, and sweeps the output.

    Args:
        read: Runs chunks wherever it likes; yields what :func:`run_chunk` returns for each.
        source, output, requirements, options, files_a_chunk: As for :func:`open_job`.
        on_chunk: Called with what ``read`` yields.

    Returns:
        ``files``; ``read`` now; ``errors`` among the chunks that ran; ``chunks`` that ran; ``seconds`` of work.
    """
    job, chunks = open_job(source, output, requirements=requirements, options=options, files_a_chunk=files_a_chunk)
    todo = pending(job, chunks)
    total = {"files": sum(len(c.names) for c in chunks), "read": 0, "errors": 0, "chunks": 0, "seconds": 0.0}
    for done in read(job, todo) if todo else ():
        total["read"] += done["read"]
        total["errors"] += done["errors"]
        total["chunks"] += 1
        total["seconds"] += done["seconds"]
        if on_chunk is not None:
            on_chunk(done)
    sweep(job, chunks)
    return total


#: What :func:`run_chunk` returns.
DONE = ("chunk", "files", "read", "errors", "bytes", "seconds", "process")


def run_chunk(job: Job, chunk: Chunk, engine: MaoOCR) -> Dict[str, Any]:
    """Reads a chunk's files and writes its part, whole or not at all.

    Returns:
        ``chunk``, ``files``, ``read`` (those that weren't in an earlier part), ``errors``, ``bytes``, ``seconds``, and the
        ``process`` that did it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    began = time.perf_counter()
    files, folder = _place(job.output)
    # The folder isn't listed here: with as many parts as chunks, that would be as many listings of all of them.
    wanted = set(chunk.names)
    rows: Dict[str, Dict[str, Any]] = {}
    for part in chunk.older:
        # What an earlier part says of files that are still there holds.
        try:
            with files.open_input_file(_join(folder, part)) as file:
                rows.update((old["path"], old) for old in pq.read_table(file).to_pylist() if old["path"] in wanted)
        except FileNotFoundError:
            # This chunk ran to its end before, and nobody heard of it.
            continue
    missing = [name for name in chunk.names if name not in rows]
    size = 0
    for name, data, error in _fetched(job, missing):
        size += len(data or b"")
        rows[name] = row(engine, name, data if data is not None else error, job)
    table = pa.Table.from_pylist([rows[name] for name in chunk.names], schema=schema())
    _write_part(files, folder, chunk.part, table)
    for part in chunk.older:
        with contextlib.suppress(FileNotFoundError):
            files.delete_file(_join(folder, part))
    return {
        "chunk": chunk.number,
        "files": len(chunk.names),
        "read": len(missing),
        "errors": sum(1 for r in rows.values() if r["error"] is not None),
        "bytes": size,
        "seconds": time.perf_counter() - began,
        "process": os.getpid(),
    }


def job_without_files(requirements: Optional[Mapping[str, Any]], options: Optional[Mapping[str, Any]]) -> Job:
    """A job for a stage whose data come and go some other way."""
    return Job("", "", 1, dict(requirements or {}), {"structure": False, **(options or {})})


def table(engine: MaoOCR, paths: Iterable[Any], data: Iterable[Any], job: Job) -> "pyarrow.Table":
    """Reads files' bytes; returns rows with the columns of :func:`schema`."""
    import pyarrow as pa

    rows = [row(engine, path, bytes(each), job) for path, each in zip(paths, data)]
    return pa.Table.from_pylist(rows, schema=schema())


def row(engine: MaoOCR, path: str, data: Any, job: Optional[Job] = None) -> Dict[str, Any]:
    """Reads a file's bytes; returns a row with the columns of :func:`schema`. Where ``data`` is an exception, its row."""
    began = time.perf_counter()
    requirements = dict(job.requirements) if job is not None else {}
    options = dict(job.options) if job is not None else {"structure": False}
    try:
        if isinstance(data, BaseException):
            raise data
        wanted = {"batch_processing": True, **requirements}
        result = engine.recognize_with_requirements(data, wanted, **{"threads": 1, **options})
    except (MaoOCRError, OSError) as error:
        code = error.code if isinstance(error, MaoOCRError) else "unreadable"
        if code in ("model_not_installed", "model_not_fetched", "no_such_device", "device_lost", "cancelled"):
            # No fault of the file: all others would fail, too.
            raise
        fields: Dict[str, Any] = {"error": {"code": code, "detail": str(error)}}
    else:
        fields = _fields(result, bool(options.get("structure")))
    empty = dict.fromkeys(["text", "confidence", "pages", "lines", "plan", "markdown", "error"])
    return {**empty, **fields, "path": path, "seconds": time.perf_counter() - began}


def _fields(result: Result, structure: bool) -> Dict[str, Any]:
    lines = [
        {
            "page": page.index,
            "text": line.text,
            "confidence": line.confidence,
            "box": [value for corner in line.box for value in corner],
        }
        for page in result.pages
        for line in page.lines
    ]
    return {
        "text": result.text,
        "confidence": result.confidence,
        "pages": len(result.pages),
        "lines": lines,
        "plan": json.dumps(result.plan, ensure_ascii=False),
        "markdown": result.to_markdown() if structure else None,
    }


# Files ----------------------------------------------------------------------------------------------------------------


def _absolute(url: str) -> str:
    return url if "://" in url else os.path.abspath(url)


def _place(url: str) -> "Tuple[FileSystem, str]":
    """The file system of a URL, and the path in it."""
    from pyarrow import fs

    if "://" not in url:
        return fs.LocalFileSystem(), os.path.abspath(url)
    files, path = fs.FileSystem.from_uri(url)
    return files, path


def _join(folder: str, name: str) -> str:
    return posixpath.join(folder, name)


def _list(url: str) -> Iterator[str]:
    from pyarrow import fs

    files, folder = _place(url)
    start = folder.rstrip("/") + "/"
    for info in files.get_file_info(fs.FileSelector(folder, recursive=True)):
        if info.type == fs.FileType.File and info.extension.lower() in EXTENSIONS:
            yield info.path[len(start) :]


def _entries(files: "FileSystem", folder: str) -> List[str]:
    from pyarrow import fs

    selector = fs.FileSelector(folder, recursive=False, allow_not_found=True)
    return [info.base_name for info in files.get_file_info(selector) if info.type == fs.FileType.File]


def _parts(files: "FileSystem", folder: str) -> List[str]:
    return [name for name in _entries(files, folder) if name.startswith("part-") and name.endswith(".parquet")]


def _load(files: "FileSystem", path: str) -> "Optional[Dict[str, Any]]":
    from pyarrow import fs

    if files.get_file_info(path).type == fs.FileType.NotFound:
        return None
    with files.open_input_file(path) as file:
        found: Dict[str, Any] = json.loads(file.read())
    return found


def _save(files: "FileSystem", path: str, data: bytes) -> None:
    with files.open_output_stream(path) as file:
        file.write(data)


def _write_part(files: "FileSystem", folder: str, name: str, table: "pyarrow.Table") -> None:
    import pyarrow.parquet as pq

    # An object store shows an object when it is whole; a file system shows a file when it is opened.
    local = files.type_name == "local"
    target = _join(folder, name)
    writing = _join(folder, f"_tmp-{uuid.uuid4().hex}") if local else target
    with files.open_output_stream(writing) as file:
        pq.write_table(table, file, compression="zstd")
    if local:
        files.move(writing, target)


def _fetched(job: Job, names: List[str]) -> Iterator[Tuple[str, Optional[bytes], Optional[Exception]]]:
    """Files' bytes, fetched a few ahead of who reads them."""
    files, folder = _place(job.source)
    limit = int(job.options.get("max_bytes", MAX_BYTES))

    def fetch(name: str) -> Tuple[str, Optional[bytes], Optional[Exception]]:
        try:
            with files.open_input_stream(_join(folder, name)) as file:
                # One byte more tells a file at the limit from one above it, which the engine refuses.
                return name, file.read(limit + 1), None
        except OSError as error:
            return name, None, error

    with concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="maoocr-fetch") as pool:
        ahead: "List[concurrent.futures.Future[Tuple[str, Optional[bytes], Optional[Exception]]]]" = []
        for name in names:
            ahead.append(pool.submit(fetch, name))
            if len(ahead) > 4:
                yield ahead.pop(0).result()
        for future in ahead:
            yield future.result()
