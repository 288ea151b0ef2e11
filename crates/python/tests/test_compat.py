"""The stand-ins beside what they stand in for: the same calls, the same kinds of answers."""

import inspect

import numpy as np
import pytest
from PIL import Image

from conftest import SAMPLES
from maoocr.compat import pytesseract
from maoocr.compat.rapidocr import RapidOCR


def near(ours, theirs):
    """The share of their lines that we have, too, as they are."""
    ours, theirs = ("".join(text.split()) for text in ("".join(ours), "".join(theirs)))
    same = sum(min(ours.count(char), theirs.count(char)) for char in set(theirs))
    return same / max(len(theirs), 1)


# rapidocr -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real():
    from rapidocr import RapidOCR as Real

    # Its networks come with its wheel.
    return Real(params={"Global.log_level": "critical"})


@pytest.fixture(scope="module")
def ours(ocr):
    return RapidOCR(params={"Global.log_level": "critical"}, engine=ocr)


def test_rapidocr_takes_the_same_arguments(real, ours):
    names = lambda call: [p.name for p in inspect.signature(call).parameters.values() if p.kind != p.KEYWORD_ONLY]
    assert names(ours.__call__) == names(real.__call__)
    assert names(RapidOCR.__init__) == names(type(real).__init__)


@pytest.mark.parametrize("form", ["path", "bytes", "array", "picture"])
def test_rapidocr_answers_the_same_way(real, ours, receipt, form):
    picture = Image.open(receipt).convert("RGB")
    given = {
        "path": str(receipt),
        "bytes": receipt.read_bytes(),
        "array": np.asarray(picture)[:, :, ::-1].copy(),
        "picture": picture,
    }[form]
    wanted, made = real(given), ours(given)
    fields = {name for name in vars(wanted) if not name.startswith("_")}
    assert fields <= set(vars(made))
    assert isinstance(made.boxes, np.ndarray) and made.boxes.dtype == wanted.boxes.dtype
    assert made.boxes.shape[1:] == wanted.boxes.shape[1:] == (4, 2)
    assert type(made.txts) is type(wanted.txts) is tuple and type(made.scores) is type(wanted.scores) is tuple
    assert all(isinstance(s, float) for s in made.scores) and len(made.elapse_list) == len(wanted.elapse_list) == 3
    assert len(made) == len(made.txts) == len(made.boxes) and made.elapse > 0
    assert made.img.shape == wanted.img.shape and made.img.dtype == wanted.img.dtype
    assert near(made.txts, wanted.txts) > 0.95
    assert {tuple(entry) for entry in made.to_json()} == {tuple(entry) for entry in wanted.to_json()}
    assert isinstance(made.to_markdown(), str) and "CORNER BAKERY" in made.to_markdown()


def test_rapidocr_finds_and_reads_alone(real, ours, receipt):
    found, theirs = ours(str(receipt), use_rec=False, use_cls=False), real(str(receipt), use_rec=False, use_cls=False)
    assert found.boxes.shape[1:] == theirs.boxes.shape[1:] and len(found.scores) == len(found.boxes)
    assert abs(len(found) - len(theirs)) <= 3
    whole = ours(str(receipt), use_det=True, use_rec=True)
    x0, y0 = whole.boxes[0].min(axis=0).astype(int)
    x1, y1 = whole.boxes[0].max(axis=0).astype(int) + 1
    line = np.asarray(Image.open(receipt).convert("RGB"))[y0:y1, x0:x1, ::-1].copy()
    read, theirs = ours(line, use_det=False), real(line, use_det=False, use_rec=True)
    assert read.txts == theirs.txts == (whole.txts[0],)
    # As there, what is set stays set.
    assert ours.use_det is False
    for engine in (ours, real):
        engine(str(receipt), use_det=True, use_cls=True, use_rec=True)


def test_rapidocr_knows_words(real, ours, receipt):
    made, theirs = ours(str(receipt), return_word_box=True), real(str(receipt), return_word_box=True)
    assert len(made.word_results) == len(made)
    (text, score, box), wanted = made.word_results[0][0], theirs.word_results[0][0]
    assert text == "CORNER" and 0 < score <= 1 and np.shape(box) == np.shape(wanted[2]) == (4, 2)
    chars = ours(str(receipt), return_single_char_box=True).word_results[0]
    assert "".join(char for char, _, _ in chars).startswith("CORNER")
    ours(str(receipt), return_word_box=False, return_single_char_box=False)


def test_rapidocr_draws(ours, receipt, tmp_path):
    drawn = ours(str(receipt)).vis(str(tmp_path / "vis.jpg"))
    assert drawn.shape == np.asarray(Image.open(receipt).convert("RGB")).shape
    assert (tmp_path / "vis.jpg").stat().st_size > 1000


def test_rapidocr_says_nothing_of_nothing(real, ours):
    white = np.full((64, 200, 3), 255, np.uint8)
    made, theirs = ours(white), real(white)
    assert (made.boxes, made.txts, made.scores, len(made)) == (theirs.boxes, theirs.txts, theirs.scores, len(theirs))


def test_rapidocr_says_what_has_no_effect(ocr):
    with pytest.warns(UserWarning, match="Det.engine_type"):
        RapidOCR(params={"Det.engine_type": "openvino"}, engine=ocr)


# pytesseract ----------------------------------------------------------------------------------------------------------

CALLS = [
    "image_to_string",
    "image_to_data",
    "image_to_boxes",
    "image_to_osd",
    "image_to_pdf_or_hocr",
    "image_to_alto_xml",
    "get_languages",
    "get_tesseract_version",
]


@pytest.mark.parametrize("name", CALLS)
def test_pytesseract_takes_the_same_arguments(name):
    import pytesseract as real

    # Theirs hide behind a decorator.
    wanted = inspect.unwrap(getattr(real, name))
    given = inspect.signature(getattr(pytesseract, name)).parameters
    theirs = inspect.signature(wanted).parameters
    assert list(theirs) in (list(given), ["args", "kwargs"]) or name == "get_tesseract_version"
    if list(theirs) == list(given):
        assert [p.default for p in theirs.values()] == [p.default for p in given.values()]


def test_pytesseract_documented_examples(receipt):
    """The calls of its README."""
    picture = Image.open(receipt)
    text = pytesseract.image_to_string(picture)
    assert "CORNER BAKERY" in text and text.endswith("\n\f")
    assert pytesseract.image_to_string(str(receipt), lang="eng") == text
    assert pytesseract.image_to_string(np.asarray(picture.convert("RGB"))).split()[:2] == ["CORNER", "BAKERY"]
    assert pytesseract.image_to_string(picture, output_type=pytesseract.Output.BYTES) == text.encode()
    assert pytesseract.image_to_string(picture, output_type=pytesseract.Output.DICT) == {"text": text}
    with pytest.raises(RuntimeError, match="timeout"):
        pytesseract.image_to_string(np.kron(np.asarray(picture.convert("L")), np.ones((3, 3), np.uint8)), timeout=0.01)
    assert pytesseract.image_to_string(str(SAMPLES / "chinese.jpg"), lang="chi_sim").startswith("故乡")
    assert b"%PDF-" == pytesseract.image_to_pdf_or_hocr(str(receipt), extension="pdf")[:5]
    assert b"ocrx_word" in pytesseract.image_to_pdf_or_hocr(str(receipt), extension="hocr")
    assert b"<alto" in pytesseract.image_to_alto_xml(str(receipt))
    assert "eng" in pytesseract.get_languages()
    assert pytesseract.get_tesseract_version().major == 5
    boxes = pytesseract.image_to_boxes(str(receipt), output_type=pytesseract.Output.DICT)
    assert "".join(boxes["char"]).startswith("CORNERBAKERY") and boxes["top"][0] > boxes["bottom"][0] > 0
    with pytest.raises(pytesseract.TesseractError):
        pytesseract.image_to_string(str(receipt), lang="klingon")
    with pytest.raises(FileNotFoundError):
        pytesseract.image_to_string("no-such-file.png")


def test_pytesseract_data_has_tesseracts_columns(receipt):
    rows = pytesseract.image_to_data(str(receipt))
    data = pytesseract.image_to_data(str(receipt), output_type=pytesseract.Output.DICT)
    frame = pytesseract.image_to_data(str(receipt), output_type=pytesseract.Output.DATAFRAME)
    names = "level page_num block_num par_num line_num word_num left top width height conf text".split()
    assert rows.split("\n")[0].split("\t") == list(data) == list(frame.columns) == names
    assert len(data["text"]) == len(frame) == len(rows.strip("\n").split("\n")) - 1
    words = [i for i, level in enumerate(data["level"]) if level == 5]
    assert [data["text"][i] for i in words[:2]] == ["CORNER", "BAKERY"]
    assert all(0 <= float(data["conf"][i]) <= 100 and data["width"][i] > 0 for i in words)
    # The usual loop over words.
    assert sum(float(c) > 60 for c in data["conf"]) > 20


def test_pytesseract_reads_a_single_line(receipt, ocr):
    box = ocr.recognize(receipt).lines[0].box
    xs, ys = [p[0] for p in box], [p[1] for p in box]
    line = Image.open(receipt).crop((min(xs) - 4, min(ys) - 4, max(xs) + 4, max(ys) + 4))
    for mode in (7, 13):
        assert pytesseract.image_to_string(line, config=f"--psm {mode} --oem 1").strip() == "CORNER BAKERY"
    with pytest.warns(UserWarning, match="whitelist"):
        pytesseract.image_to_string(line, config="-c tessedit_char_whitelist=0123456789")


def test_pytesseract_says_which_way_up():
    upright = Image.open(SAMPLES / "columns.png").convert("L")
    for turn in (0, 180):
        turned = upright.rotate(turn, expand=True)
        said = pytesseract.image_to_osd(turned, output_type=pytesseract.Output.DICT)
        assert said["rotate"] == turn and said["script"] == "Latin", said


def test_pytesseract_reads_a_list(tmp_path, receipt):
    names = tmp_path / "list.txt"
    names.write_text(f"{receipt}\n{SAMPLES / 'dark.png'}\n")
    text = pytesseract.image_to_string(str(names))
    first, second, rest = text.split("\f")
    assert "CORNER" in first and "cargo" in second and rest == ""
