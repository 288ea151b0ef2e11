"""The engine."""

import asyncio
import collections
import concurrent.futures
import json
import os
import threading
from typing import (
    Any,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Deque,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    TypeVar,
    Union,
    cast,
)

from . import _maoocr
from ._input import Source
from ._models import packaged, progress_for
from .errors import Cancelled, InputError, MaoOCRError
from .result import Line, Result, _line

#: Anything that can be read: a path, the bytes of an image or PDF, a binary file, a Pillow image, or a NumPy array of
#: shape (height, width), (height, width, 1), (height, width, 3) or (height, width, 4).
Readable = Any
Progress = Callable[[str, Optional[int], Optional[int]], object]
T = TypeVar("T")


class MaoOCR:
    """Recognises text in images and documents.

    Models are loaded when they are first needed, and fetched if none are installed. One engine can serve many threads, and
    other Python code runs while it works. After a fork it reloads its models. It can be pickled; the other process gets an
    engine with the same settings.

    Args:
        enable_dynamic_selection: Choose models by the requirements of a call. If false, every call uses the default models.
        device: ``auto``, ``cpu`` or ``cpu:int8`` (faster, slightly less exact).
        models: Folder of the models. Default: ``MAOOCR_MODELS``, else a folder in the user's cache; and the package
            ``maoocr-models``, where it is installed, for what the folder lacks.
        threads: Threads per page. Default: one per core.
        low_memory: Plan for a device with little memory: the tiny models, small tiles, about 100 MB.
        offline: Never use the network. Default: whether ``MAOOCR_OFFLINE`` is set to anything but 0 or false.
        progress: Called as ``progress(name, done, total)`` with bytes while models are fetched, and as
            ``progress(message, None, None)``. Default: a line on standard error where somebody watches.
        max_cpu_cores: Earlier name of ``threads``.
        max_ram_memory: Memory limit in MiB, from earlier versions: below 512, the engine plans for little memory.
        max_gpu_memory: Accepted for compatibility with earlier versions. This package runs on the CPU.

    Raises:
        DeviceError: There is no such device.
    """

    def __init__(
        self,
        enable_dynamic_selection: bool = True,
        device: str = "auto",
        models: "Optional[Union[str, os.PathLike[str]]]" = None,
        threads: Optional[int] = None,
        *,
        low_memory: bool = False,
        offline: Optional[bool] = None,
        progress: Optional[Progress] = None,
        max_cpu_cores: Optional[int] = None,
        max_ram_memory: Optional[int] = None,
        max_gpu_memory: Optional[int] = None,
    ) -> None:
        if offline is None:
            offline = os.environ.get("MAOOCR_OFFLINE", "").lower() not in ("", "0", "false")
        if max_ram_memory is not None and max_ram_memory < 512:
            low_memory = True
        self._settings: Dict[str, Any] = {
            "enable_dynamic_selection": enable_dynamic_selection,
            "device": device,
            "models": None if models is None else os.fspath(models),
            "threads": threads if threads is not None else max_cpu_cores,
            "low_memory": low_memory,
            "offline": offline,
        }
        self._native = _maoocr.Engine(
            device=device,
            models=models,
            packaged=packaged(),
            threads=self._settings["threads"],
            low_memory=low_memory,
            dynamic=enable_dynamic_selection,
            offline=offline,
            progress=progress_for(progress),
        )

    # Calls ------------------------------------------------------------------------------------------------------------

    def recognize(
        self,
        x: Readable,
        *,
        channels: str = "RGB",
        pages: Optional[Iterable[int]] = None,
        password: str = "",
        text_layer: str = "auto",
        structure: bool = True,
        max_bytes: int = 64 << 20,
        max_pixels: int = 120_000_000,
        max_pages: int = 2000,
        page_seconds: float = 60.0,
        threads: Optional[int] = None,
        cancel: Optional[_maoocr.Cancel] = None,
    ) -> Result:
        """Reads an image or document.

        Args:
            x: A path; ``bytes`` of a JPEG, PNG, WebP, GIF, BMP, TIFF, PNM, JPEG 2000, JPEG XL or PDF; a file opened in
                binary mode; a Pillow image (its current frame); or a NumPy array of shape (height, width),
                (height, width, 1), (height, width, 3) or (height, width, 4) and type ``uint8``.
            channels: Order of an array's channels: ``"RGB"`` (with a fourth channel: RGBA) or, for OpenCV, ``"BGR"``.
            pages: Indices of the pages to read, from 0. Default: all.
            password: Password of an encrypted PDF.
            text_layer: When to use the text that a PDF contains: ``"auto"`` if it agrees with what the page shows,
                ``"always"`` if there is one, ``"never"``.
            structure: Distinguish titles, paragraphs, tables, lists and figures, for ``to_markdown`` and other exports.
                The text is the same without.
            max_bytes: Largest file.
            max_pixels: Largest page.
            max_pages: Maximum number of pages.
            page_seconds: Time limit for opening a PDF and for rendering each of its pages, in seconds.
            threads: Threads per page in this call.
            cancel: Ends the call from another thread.

        Raises:
            OSError: The file can't be opened.
            ImageError: It can't be decoded.
            InputError: ``x`` or an option can't be used.
            ModelError: A model is missing and can't be fetched, or fails.
            KeyboardInterrupt: Ctrl-C was pressed; takes less than a second.
        """
        options = _options(locals())
        return self._read(Source(x, options, channels), cancel)

    def recognize_with_requirements(
        self, x: Readable, requirements: Mapping[str, Any], **options: Any
    ) -> Result:
        """Reads an image or document with models chosen by requirements.

        Args:
            x: As for :meth:`recognize`.
            requirements: Any of ``document_type`` (``auto``, ``simple_text``, ``complex_layout``), ``language`` (``auto``,
                an English name or a BCP 47 tag), ``accuracy_requirement`` and ``speed_requirement`` (``low``, ``medium``,
                ``high``), ``real_time`` and ``batch_processing`` (booleans).
            options: As for :meth:`recognize`.

        Raises:
            RequirementError: A field or value is unknown; the error says what is allowed. Also everything that
                :meth:`recognize` raises.
        """
        source, cancel = self._source(x, requirements, options)
        return self._read(source, cancel)

    def stream(
        self, x: Readable, requirements: Optional[Mapping[str, Any]] = None, *, live: bool = False, **options: Any
    ) -> Iterator[Line]:
        """Yields lines while a document is read.

        Args:
            x: As for :meth:`recognize`.
            requirements: As for :meth:`recognize_with_requirements`.
            live: Yield each line as soon as it is read, in no particular order. A line with the same ``page`` and ``index``
                as an earlier one replaces it, and a ``withdrawn`` line was not text. If false, the lines of a page are
                yielded in reading order once the page is finished.
            options: As for :meth:`recognize`.

        Closing or dropping the iterator stops the reading.
        """
        source, cancel = self._source(x, requirements, options)
        data, shape = source.load()
        events = self._native.stream(data, shape, source.request, cancel)
        return self._lines(events, live)

    def batch(
        self,
        items: Iterable[Readable],
        requirements: Optional[Mapping[str, Any]] = None,
        *,
        jobs: Optional[int] = None,
        errors: str = "raise",
        **options: Any,
    ) -> Iterator[Result]:
        """Reads many images or documents, one per core at a time, and yields the results in order.

        Args:
            items: What to read, each as for :meth:`recognize`. The iterable is consumed lazily: at most twice as many items
                as ``jobs`` are in progress or waiting.
            requirements: As for :meth:`recognize_with_requirements`; ``batch_processing`` is set.
            jobs: Items read at the same time. Each takes about 300 MB with the small models. Default: one per core, at
                most 8.
            errors: ``"raise"`` stops at the first item that can't be read; ``"return"`` yields its exception in its place.
            options: As for :meth:`recognize`.
        """
        if errors not in ("raise", "return"):
            raise InputError("invalid_argument", f"errors: {errors!r} is neither 'raise' nor 'return'")
        jobs = jobs or min(_cores(), 8)
        wanted = {"batch_processing": True, **(requirements or {})}
        options = {"threads": 1, **options}
        return self._batch(items, wanted, jobs, errors == "return", options)

    def detect(self, x: Readable, *, channels: str = "RGB", **options: Any) -> List[Dict[str, Any]]:
        """Finds the lines of the first page without reading them: ``box`` (four corners, px) and ``score`` (0 to 1)."""
        source, cancel = self._source(x, None, {**options, "channels": channels})
        data, shape = source.load()
        found = json.loads(self._native.detect(data, shape, source.request, cancel))
        return cast("List[Dict[str, Any]]", found["found"])

    def read_lines(
        self,
        x: Readable,
        boxes: Optional[List[List[List[float]]]] = None,
        *,
        channels: str = "RGB",
        requirements: Optional[Mapping[str, Any]] = None,
        **options: Any,
    ) -> List[Line]:
        """Reads lines at known places: one for each box, in the same order, even if the result is uncertain.

        Args:
            x: As for :meth:`recognize`; of a document, the first page.
            boxes: Four corners each, px, clockwise from the top left of the text. Default: the whole image is one line.
        """
        source, cancel = self._source(x, requirements, {**options, "channels": channels})
        data, shape = source.load()
        read = json.loads(self._native.lines(data, shape, boxes, source.request, cancel))
        return [_line(line) for line in read["lines"]]

    # For asyncio ------------------------------------------------------------------------------------------------------

    async def recognize_async(
        self, x: Readable, requirements: Optional[Mapping[str, Any]] = None, **options: Any
    ) -> Result:
        """:meth:`recognize` or :meth:`recognize_with_requirements` without blocking the event loop. Cancelling the task
        stops the reading."""
        cancel = options.setdefault("cancel", _maoocr.Cancel())
        source, _ = self._source(x, requirements, options)
        return await _beside(lambda: self._read(source, cancel), cancel)

    async def stream_async(
        self, x: Readable, requirements: Optional[Mapping[str, Any]] = None, *, live: bool = False, **options: Any
    ) -> AsyncIterator[Line]:
        """:meth:`stream` without blocking the event loop."""
        cancel = options.setdefault("cancel", _maoocr.Cancel())
        lines = await _beside(lambda: self.stream(x, requirements, live=live, **options), cancel)
        try:
            while True:
                line = await _beside(lambda: next(lines, None), cancel)
                if line is None:
                    return
                yield line
        finally:
            cancel.cancel()

    async def batch_async(
        self,
        items: Union[Iterable[Readable], AsyncIterable[Readable]],
        requirements: Optional[Mapping[str, Any]] = None,
        *,
        jobs: Optional[int] = None,
        errors: str = "raise",
        **options: Any,
    ) -> AsyncIterator[Result]:
        """:meth:`batch` without blocking the event loop; items may come from an asynchronous iterable."""
        jobs = jobs or min(_cores(), 8)
        wanted = {"batch_processing": True, **(requirements or {})}
        cancel = options.pop("cancel", None) or _maoocr.Cancel()
        options = {"threads": 1, **options, "cancel": cancel}
        waiting: "Deque[asyncio.Task[Result]]" = collections.deque()
        upcoming = _each(items)
        more = True
        try:
            while True:
                while more and len(waiting) < jobs:
                    try:
                        item = await upcoming.__anext__()
                    except StopAsyncIteration:
                        more = False
                    else:
                        waiting.append(asyncio.ensure_future(self.recognize_async(item, wanted, **options)))
                if not waiting:
                    return
                try:
                    yield await waiting.popleft()
                except (MaoOCRError, OSError) as error:
                    if errors != "return" or isinstance(error, Cancelled):
                        raise
                    yield cast(Result, error)
        finally:
            for task in waiting:
                task.cancel()

    # Models -----------------------------------------------------------------------------------------------------------

    def prepare(self, requirements: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
        """Loads the models for some requirements, so that the first call is as fast as later ones; returns the plan."""
        source, cancel = self._source(b"", requirements, {})
        return cast(Dict[str, Any], json.loads(self._native.prepare(source.request, cancel)))

    @property
    def models_folder(self) -> str:
        """Folder of the models."""
        return os.fspath(self._native.folder)

    @property
    def device(self) -> str:
        """What runs the models, such as ``CPU (AVX-512)``."""
        return self._native.device

    def __reduce__(self) -> Any:
        return _engine_of, (self._settings,)

    def __repr__(self) -> str:
        return f"<MaoOCR on {self.device}, models in {self.models_folder}>"

    # ------------------------------------------------------------------------------------------------------------------

    def _cancel(self) -> _maoocr.Cancel:
        return _maoocr.Cancel()

    def _source(
        self, x: Readable, requirements: Optional[Mapping[str, Any]], options: Dict[str, Any]
    ) -> "tuple[Source, _maoocr.Cancel]":
        unknown = options.keys() - _KNOWN
        if unknown:
            raise TypeError(f"unknown options: {', '.join(sorted(unknown))}; known are {', '.join(sorted(_KNOWN))}")
        cancel = options.get("cancel") or self._cancel()
        request = _options(options)
        if requirements is not None:
            request["requirements"] = dict(requirements)
        return Source(x, request, options.get("channels", "RGB")), cancel

    def _read(self, source: Source, cancel: Optional[_maoocr.Cancel]) -> Result:
        data, shape = source.load()
        document = self._native.read(data, shape, source.request, cancel or self._cancel())
        return Result(json.loads(document.json()), document, source, self)

    @staticmethod
    def _lines(events: "Iterator[tuple[str, str]]", live: bool) -> Iterator[Line]:
        for name, told in events:
            fields = json.loads(told)
            if name == "page" and not live:
                for index, line in enumerate(fields["lines"]):
                    yield _line({**line, "page": fields["index"], "index": index, "withdrawn": False})
            elif name == "line" and live:
                yield _line({**fields, "withdrawn": False})
            elif name == "withdrawn" and live:
                empty = {"text": "", "confidence": 0.0, "box": [], "words": [], "vertical": False}
                yield _line({**empty, **fields, "withdrawn": True})

    def _batch(
        self, items: Iterable[Readable], requirements: Dict[str, Any], jobs: int, give: bool, options: Dict[str, Any]
    ) -> Iterator[Result]:
        cancel = options.pop("cancel", None) or self._cancel()
        options["cancel"] = cancel
        waiting: "Deque[concurrent.futures.Future[Result]]" = collections.deque()
        upcoming = iter(items)
        # Items are drawn here, one at a time: what yields them need not be safe for threads.
        with concurrent.futures.ThreadPoolExecutor(jobs, thread_name_prefix="maoocr") as pool:
            try:
                more = True
                while True:
                    while more and len(waiting) < 2 * jobs:
                        try:
                            item = next(upcoming)
                        except StopIteration:
                            more = False
                        else:
                            waiting.append(pool.submit(self.recognize_with_requirements, item, requirements, **options))
                    if not waiting:
                        return
                    try:
                        result = waiting.popleft().result()
                    except (MaoOCRError, OSError) as error:
                        if not give or isinstance(error, Cancelled):
                            raise
                        yield cast(Result, error)
                    else:
                        yield result
            finally:
                cancel.cancel()
                for future in waiting:
                    future.cancel()


_KNOWN = {
    "cancel",
    "channels",
    "max_bytes",
    "max_pages",
    "max_pixels",
    "page_seconds",
    "pages",
    "password",
    "structure",
    "text_layer",
    "threads",
}


def _options(given: Mapping[str, Any]) -> Dict[str, Any]:
    """The options that the engine takes."""
    options = {name: given[name] for name in _KNOWN - {"cancel", "channels"} if given.get(name) is not None}
    if "pages" in options:
        options["pages"] = sorted(set(options["pages"]))
    return options


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _engine_of(settings: Dict[str, Any]) -> MaoOCR:
    return MaoOCR(**settings)


async def _beside(work: Callable[[], T], cancel: _maoocr.Cancel) -> T:
    """Runs blocking work on a thread; where the task is cancelled, the work is, too."""
    loop = asyncio.get_running_loop()
    future: "asyncio.Future[T]" = loop.create_future()

    def settle(result: Optional[T], error: Optional[BaseException]) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(cast(T, result))

    def run() -> None:
        result, raised = None, None
        try:
            result = work()
        except BaseException as error:
            raised = error
        try:
            loop.call_soon_threadsafe(settle, result, raised)
        except RuntimeError:
            # The loop was closed meanwhile: nobody waits.
            pass

    # A thread of its own: the loop's executor may have fewer threads than there are cores, or be busy.
    threading.Thread(target=run, name="maoocr", daemon=True).start()
    try:
        return await future
    except asyncio.CancelledError:
        cancel.cancel()
        raise


async def _each(items: Union[Iterable[T], AsyncIterable[T]]) -> AsyncIterator[T]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
