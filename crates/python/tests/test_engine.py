"""`MaoOCR`: what goes in, what comes out, and what happens meanwhile."""

import asyncio
import copy
import io
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from PIL import Image

import maoocr
from conftest import SAMPLES, text_of
from maoocr import MaoOCR


def test_calls_of_the_earlier_client(receipt):
    """The lines of the earlier desktop client that touch the engine."""
    requirements = {
        "document_type": "auto",
        "language": "auto",
        "accuracy_requirement": "medium",
        "speed_requirement": "medium",
        "real_time": False,
        "batch_processing": False,
    }
    ocr = MaoOCR(enable_dynamic_selection=True)
    result = ocr.recognize_with_requirements(str(receipt), requirements)
    # It sends results through a signal of type dict.
    assert isinstance(result, dict)
    shown = f"{result.text}\n{result.confidence:.2%}\n{result.processing_time:.2f} s\n{', '.join(result.selected_models)}"
    assert "CORNER BAKERY" in shown
    assert "ppocrv6-small-rec" in result.selected_models
    assert 0.9 < result.confidence <= 1 and result.processing_time > 0
    assert MaoOCR(max_gpu_memory=4096, max_cpu_cores=1, max_ram_memory=8192).recognize(str(receipt)).text == result.text
    assert str(result) == result.text


def test_every_sample_reads_as_the_command_reads_it(ocr, command):
    assert len(command) > 25
    for name, wanted in command.items():
        if "error" in wanted:
            with pytest.raises((maoocr.ImageError, OSError)) as raised:
                ocr.recognize(SAMPLES / name)
            assert raised.value.code == wanted["error"]["code"], name
        else:
            result = ocr.recognize(SAMPLES / name)
            assert result.text == wanted["text"], name
            assert [line.box for line in result.lines] == [line["box"] for line in wanted["lines"]], name


def test_all_ways_in_say_the_same(ocr, receipt):
    data = receipt.read_bytes()
    with Image.open(receipt) as opened:
        # The engine's own pixels: libraries differ in how they decode a JPEG.
        pixels = ocr.recognize(receipt).image()
        assert pixels.size == opened.size
    array = np.asarray(pixels)
    wide = np.zeros((array.shape[0], array.shape[1] * 2, 3), np.uint8)
    wide[:, ::2] = array
    opaque = np.dstack([array, np.full(array.shape[:2], 255, np.uint8)])
    ways = {
        "path": ocr.recognize(receipt),
        "text path": ocr.recognize(str(receipt)),
        "bytes": ocr.recognize(data),
        "bytearray": ocr.recognize(bytearray(data)),
        "memoryview": ocr.recognize(memoryview(data)),
        "file": ocr.recognize(io.BytesIO(data)),
        "picture": ocr.recognize(pixels),
        "rgb": ocr.recognize(array),
        "bgr": ocr.recognize(array[:, :, ::-1], channels="BGR"),
        "strided": ocr.recognize(wide[:, ::2]),
        "rgba": ocr.recognize(opaque),
        "rgba picture": ocr.recognize(Image.fromarray(opaque)),
        "16 bits": ocr.recognize(array.astype(np.uint16) << 8),
    }
    assert {name: result.text for name, result in ways.items()} == dict.fromkeys(ways, ways["path"].text)
    grey = {
        "grey": ocr.recognize(np.asarray(pixels.convert("L"))),
        "grey with an axis": ocr.recognize(np.asarray(pixels.convert("L"))[:, :, None]),
        "grey picture": ocr.recognize(pixels.convert("L")),
        "deep picture": ocr.recognize(Image.fromarray(np.asarray(pixels.convert("L")).astype(np.uint16) * 257)),
    }
    assert {name: result.text for name, result in grey.items()} == dict.fromkeys(grey, grey["grey"].text)
    with open(receipt, "rb") as file:
        assert ocr.recognize(file).text == ways["path"].text


def test_channels_make_a_difference(ocr):
    """Red lettering on blue is bright or dark in the eyes of a detector, depending on the order."""
    array = np.zeros((40, 60, 3), np.uint8)
    array[..., 0] = 255
    assert ocr.recognize(array).image().getpixel((0, 0)) == (255, 0, 0)
    assert ocr.recognize(array, channels="BGR").image().getpixel((0, 0)) == (0, 0, 255)


def test_a_picture_is_turned_as_its_exif_says(ocr, receipt):
    picture = Image.open(receipt)
    turned = picture.rotate(90, expand=True)
    exif = turned.getexif()
    exif[0x0112] = 6
    held = io.BytesIO()
    turned.save(held, "PNG", exif=exif)
    assert ocr.recognize(Image.open(io.BytesIO(held.getvalue()))).image().size == picture.size
    assert ocr.recognize(held.getvalue()).image().size == picture.size


@pytest.mark.parametrize(
    "wrong",
    [
        3,
        None,
        ["receipt.jpg"],
        io.StringIO("text"),
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((2, 2, 2, 3), np.uint8),
    ],
    ids=str,
)
def test_what_is_no_picture_is_said(ocr, wrong):
    with pytest.raises(maoocr.InputError) as raised:
        ocr.recognize(wrong)
    assert raised.value.code == "invalid_argument" and isinstance(raised.value, TypeError)


def test_errors_have_the_engines_codes(ocr, receipt, tmp_path):
    data = receipt.read_bytes()
    for given, code in [(b"", "empty"), (b"hello", "unknown_format"), (data[: len(data) // 2], "truncated")]:
        with pytest.raises(maoocr.ImageError) as raised:
            ocr.recognize(given)
        assert raised.value.code == code and str(raised.value) == raised.value.detail
        assert isinstance(raised.value, ValueError)
        assert pickle.loads(pickle.dumps(raised.value)).code == code
    with pytest.raises(FileNotFoundError):
        ocr.recognize(tmp_path / "none.png")
    with pytest.raises(IsADirectoryError):
        ocr.recognize(tmp_path)
    with pytest.raises(maoocr.ImageError) as raised:
        ocr.recognize(receipt, max_bytes=1000)
    assert raised.value.code == "too_large"
    with pytest.raises(maoocr.ImageError) as raised:
        ocr.recognize(np.zeros((100, 100), np.uint8), max_pixels=9999)
    assert raised.value.code == "too_many_pixels"
    with pytest.raises(maoocr.DeviceError) as raised:
        MaoOCR(device="gpu:x")
    assert raised.value.code == "no_such_device"
    with pytest.raises(TypeError, match="pagse"):
        ocr.recognize_with_requirements(data, {}, pagse=[0])


def test_requirements_choose_and_are_checked(ocr, receipt):
    fast = ocr.recognize_with_requirements(receipt, {"speed_requirement": "high"})
    assert "ppocrv6-tiny-rec" in fast.selected_models
    assert any("high speed" in reason for reason in fast.plan["reasons"])
    with pytest.raises(maoocr.RequirementError) as raised:
        ocr.recognize_with_requirements(receipt, {"langauge": "english"})
    assert raised.value.field == "langauge" and "language" in raised.value.allowed
    assert pickle.loads(pickle.dumps(raised.value)).field == "langauge"
    fixed = MaoOCR(enable_dynamic_selection=False, offline=True)
    usual = fixed.recognize_with_requirements(receipt, {"speed_requirement": "high"})
    assert "ppocrv6-small-rec" in usual.selected_models


def test_a_result_has_all_its_parts(ocr, receipt, tmp_path):
    result = ocr.recognize(receipt)
    assert result["text"] == result.text and result["lines"][0]["text"] == result.lines[0].text
    line = result.lines[0]
    assert line.words and line.words[0].text in line.text and len(line.box) == 4
    assert [word.text for word in result.words][:2] == ["CORNER", "BAKERY"]
    assert result.pages[0].width == result["width"] == Image.open(receipt).width
    plain = json.loads(json.dumps(result.to_dict()))
    assert plain == result.to_dict() and type(plain["lines"][0]) is dict
    again = pickle.loads(pickle.dumps(result))
    assert again == result and again.text == result.text and again.lines[0].words[0].text == line.words[0].text
    assert copy.deepcopy(line) == line
    with pytest.raises(maoocr.InputError):
        again.to_markdown()
    with pytest.raises(AttributeError, match="txet"):
        result.txet
    drawn = result.draw(tmp_path / "drawn.png")
    assert drawn.size == (result["width"], result["height"])
    x, y = line.box[0]
    assert drawn.getpixel((round(x), round(y))) != result.image().getpixel((round(x), round(y)))
    assert (tmp_path / "drawn.png").stat().st_size > 1000


def test_exports_are_those_of_the_command(ocr, receipt, tmp_path):
    result = ocr.recognize(receipt)
    for form in ["txt", "md", "html", "hocr", "alto", "tsv", "csv"]:
        said = subprocess.run(
            [os.environ["MAOOCR_BIN"], "recognize", receipt, "--format", form, "--offline"], capture_output=True
        ).stdout
        drop = lambda text: [line for line in text.decode().splitlines() if "DateTime" not in line and "date" not in line]
        assert drop(result.export(form)) == drop(said), form
    assert result.export("docx")[:2] == result.export("xlsx")[:2] == b"PK"
    assert b"<PcGts" in result.export("page")
    assert "CORNER BAKERY" in json.loads(result.export("json"))["text"]
    with pytest.raises(maoocr.InputError, match="pptx"):
        result.export("pptx")


def test_a_document_has_pages(ocr, scan, tmp_path):
    result = ocr.recognize(scan)
    assert [page.index for page in result.pages] == [0, 1]
    assert "CORNER BAKERY" in result.pages[0].text and "Linzensoep" in result.pages[1].text
    assert result.text == result.pages[0].text + "\n\n" + result.pages[1].text
    assert "lines" not in result.keys() and len(result.lines) == sum(len(page.lines) for page in result.pages)
    second = ocr.recognize(scan, pages=[1])
    assert [page.index for page in second.pages] == [1] and second.text == result.pages[1].text
    assert second.image().size == (result.pages[1].width, result.pages[1].height)
    with pytest.raises(maoocr.InputError):
        ocr.recognize(scan, pages=[7])
    made = result.to_pdf(tmp_path / "out.pdf")
    original = scan.read_bytes()
    # An update is appended: the file's own bytes stay.
    assert made.startswith(original) and len(made) > len(original)
    assert ocr.recognize(made, text_layer="always").device == "text layer"
    said = text_of(made)
    assert "BAKERY" in said and "Linzensoep" in said


def test_a_picture_becomes_a_searchable_pdf(ocr, receipt):
    made = ocr.recognize(receipt).to_pdf(title="Bakery", pdfa=True)
    assert "BAKERY" in text_of(made) and b"pdfaid" in made
    pixels = ocr.recognize(Image.open(receipt)).to_pdf()
    assert "BAKERY" in text_of(pixels)


def test_a_stream_tells_the_lines_of_the_answer(ocr, receipt, scan):
    wanted = ocr.recognize(receipt)
    assert [line.text for line in ocr.stream(receipt)] == [line.text for line in wanted.lines]
    live = {}
    for line in ocr.stream(receipt, live=True):
        live[line.index] = line
    kept = sorted(line.text for line in live.values() if not line.withdrawn)
    assert kept == sorted(line.text for line in wanted.lines)
    assert [line.page for line in ocr.stream(scan)] == sorted(line.page for line in ocr.stream(scan))
    with pytest.raises(maoocr.ImageError):
        list(ocr.stream(b"hello"))


def test_a_stream_that_is_dropped_ends(ocr, receipt):
    """Twenty readings that nobody wants must not hold up the next one."""
    began = time.perf_counter()
    ocr.recognize(receipt)
    once = time.perf_counter() - began
    began = time.perf_counter()
    for _ in range(20):
        lines = ocr.stream(receipt, live=True)
        next(lines)
        del lines
    ocr.recognize(receipt)
    assert time.perf_counter() - began < 21 * once


def test_a_batch_keeps_the_order(ocr, tiny):
    names = ["receipt.jpg", "dark.png", "transparent.png", "chinese.jpg"] * 2
    drawn = []

    def items():
        for name in names:
            drawn.append(name)
            yield SAMPLES / name

    results = ocr.batch(items(), tiny, jobs=2)
    first = next(results)
    # Lazily: two jobs, and as many waiting, and the one that was taken.
    assert len(drawn) <= 5
    texts = [first.text] + [result.text for result in results]
    assert texts[:4] == texts[4:] and "CORNER" in texts[0] and "cargo" in texts[1] and "鲁迅" in texts[3]


def test_a_batch_goes_on_after_a_bad_item(ocr, receipt, tiny):
    items = [receipt, b"hello", receipt]
    with pytest.raises(maoocr.ImageError):
        list(ocr.batch(items, tiny))
    good, bad, last = ocr.batch(items, tiny, errors="return")
    assert bad.code == "unknown_format" and good.text == last.text


def test_asyncio(ocr, receipt, tiny):
    async def work():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticker = asyncio.ensure_future(tick())
        one = await ocr.recognize_async(receipt, tiny)
        lines = [line.text async for line in ocr.stream_async(receipt, tiny)]
        results = [result async for result in ocr.batch_async([receipt, b"x", receipt], tiny, errors="return")]
        ticker.cancel()
        return one, lines, results, ticks

    one, lines, results, ticks = asyncio.run(work())
    assert lines == [line.text for line in one.lines]
    assert results[0].text == results[2].text == one.text and results[1].code == "unknown_format"
    # The loop went on meanwhile.
    assert ticks >= 3


def test_cancelling_a_task_ends_the_reading(ocr):
    """A page that takes seconds ends at once."""
    large = np.kron(np.asarray(Image.open(SAMPLES / "columns.png").convert("L")), np.ones((2, 2), np.uint8))

    async def work():
        cancel = maoocr.Cancel()
        task = asyncio.ensure_future(ocr.recognize_async(large, cancel=cancel))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return cancel.cancelled

    assert asyncio.run(work())
    cancel = maoocr.Cancel()
    threading.Timer(0.1, cancel.cancel).start()
    with pytest.raises(maoocr.Cancelled):
        while True:
            ocr.recognize(large, cancel=cancel)


def test_python_runs_while_it_reads(ocr):
    """A thread that counts gets on while another one reads."""
    counted = 0
    done = threading.Event()

    def count():
        nonlocal counted
        while not done.is_set():
            counted += 1
            time.sleep(0.001)

    counter = threading.Thread(target=count)
    counter.start()
    began = time.perf_counter()
    ocr.recognize(SAMPLES / "columns.png", threads=1)
    took = time.perf_counter() - began
    done.set()
    counter.join()
    # Were the lock held, it would get a turn at the ends only.
    assert counted > took * 1000 / 20


def test_many_threads_share_an_engine(ocr, receipt, tiny):
    wanted = ocr.recognize_with_requirements(receipt, tiny, threads=1).text
    texts = []

    def read():
        for _ in range(3):
            texts.append(ocr.recognize_with_requirements(receipt, tiny, threads=1).text)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [wanted] * 12


def _child(ocr, path, requirements, queue):
    try:
        queue.put(ocr.recognize_with_requirements(path, requirements).text)
    except BaseException as error:
        queue.put(repr(error))


def test_a_fork_gets_a_fresh_engine(ocr, receipt, tiny):
    """With threads that exist in the parent alone, and one of them reading at the time of the fork."""
    wanted = ocr.recognize_with_requirements(receipt, tiny).text
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            ocr.recognize_with_requirements(receipt, tiny)

    reader = threading.Thread(target=busy)
    reader.start()
    context = multiprocessing.get_context("fork")
    try:
        for _ in range(3):
            queue = context.SimpleQueue()
            process = context.Process(target=_child, args=(ocr, receipt, tiny, queue))
            process.start()
            process.join(60)
            assert process.exitcode == 0, "the child hangs"
            assert queue.get() == wanted
    finally:
        stop.set()
        reader.join()
    assert ocr.recognize_with_requirements(receipt, tiny).text == wanted


def test_a_stream_does_not_survive_a_fork(ocr, receipt):
    lines = ocr.stream(receipt, live=True)
    next(lines)
    process = os.fork()
    if process == 0:
        try:
            next(lines)
        except maoocr.MaoOCRError as error:
            os._exit(42 if error.code == "forked" else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 42


def test_an_engine_can_be_sent_to_a_process(ocr, receipt, tiny):
    again = pickle.loads(pickle.dumps(ocr))
    assert again.recognize_with_requirements(receipt, tiny).text == ocr.recognize_with_requirements(receipt, tiny).text


@pytest.mark.parametrize("call", ["ocr.recognize(large)", "list(ocr.stream(large))", "list(ocr.batch([large] * 4))"])
def test_ctrl_c_ends_a_call(call, tmp_path):
    code = f"""
        import signal
        import numpy as np
        from PIL import Image
        from maoocr import MaoOCR
        # Tests that run in the background of a shell inherit that it is ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        ocr = MaoOCR(offline=True)
        ocr.prepare()
        page = np.asarray(Image.open({str(SAMPLES / 'columns.png')!r}).convert("L"))
        large = np.kron(page, np.ones((3, 3), np.uint8))
        print("reading", flush=True)
        try:
            while True:
                {call}
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "reading\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert said == "interrupted\n" and process.returncode == 0


def test_many_calls_do_not_grow(ocr, tiny):
    """Memory after some hundred calls, or `MAOOCR_CALLS`, is what it was before."""

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    picture = np.asarray(Image.open(SAMPLES / "dark.png").convert("RGB"))[:64, :160]
    for _ in range(50):
        ocr.recognize_with_requirements(picture, tiny)
    before = resident()
    for _ in range(int(os.environ.get("MAOOCR_CALLS", "300"))):
        ocr.recognize_with_requirements(picture, tiny)
    assert resident() - before < 20
