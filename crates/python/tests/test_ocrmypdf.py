"""The plugin, called by OCRmyPDF itself."""

import subprocess
import sys

import pypdfium2
import pytest

from conftest import SAMPLES, text_of


def ocrmypdf(*arguments, ok=True):
    command = [sys.executable, "-m", "ocrmypdf", "--plugin", "maoocr.ocrmypdf", "--output-type", "pdf", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode == 0) == ok, done.stderr
    return done.stderr


def test_a_scan_becomes_searchable(scan, tmp_path, ocr):
    out, side = tmp_path / "out.pdf", tmp_path / "out.txt"
    ocrmypdf("--jobs", "2", "--sidecar", side, scan, out)
    text = text_of(out)
    assert "BAKERY" in text and "Linzensoep" in text
    read = ocr.recognize(scan, text_layer="never")
    words = {word.text for word in read.words}
    assert len(words & set(text.split())) / len(words) > 0.9
    # The sidecar is what was read.
    assert "".join(side.read_text().split()) == "".join(read.text.split())


def test_words_stand_where_they_are_seen(scan, tmp_path, ocr):
    out = tmp_path / "out.pdf"
    ocrmypdf(scan, out)
    shown = ocr.recognize(scan, pages=[0], text_layer="never").pages[0]
    line = next(line for line in shown.lines if line.text == "CORNER BAKERY")
    document = pypdfium2.PdfDocument(out)
    page = document[0]
    scale = page.get_width() / shown.width
    words = page.get_textpage()
    found = words.search("BAKERY").get_next()
    assert found
    left, bottom, right, top = words.get_charbox(found[0])
    word = next(word for word in line.words if word.text == "BAKERY")
    xs, ys = [x * scale for x, _ in word.box], [page.get_height() - y * scale for _, y in word.box]
    assert abs(left - min(xs)) < 0.15 * (max(xs) - min(xs))
    assert min(ys) - 2 < bottom < top < max(ys) + 2 and right < max(xs)


def test_pages_are_turned_and_straightened(tmp_path):
    from PIL import Image

    crooked = Image.open(SAMPLES / "columns.png").convert("L").rotate(180 + 2, expand=True, fillcolor=255)
    scan, out = tmp_path / "turned.pdf", tmp_path / "out.pdf"
    crooked.save(scan, resolution=150)
    ocrmypdf("--rotate-pages", "--deskew", scan, out)
    assert "LinnSequencer" in text_of(out)


def test_chinese_and_vertical_text(tmp_path):
    from PIL import Image

    for name, words in [("chinese.jpg", "海边碧绿的沙地"), ("vertical.jpg", "猫")]:
        scan, out = tmp_path / f"{name}.pdf", tmp_path / "out.pdf"
        Image.open(SAMPLES / name).convert("RGB").save(scan, resolution=150)
        ocrmypdf("-l", "chi_sim" if name == "chinese.jpg" else "jpn", scan, out)
        assert words in "".join(text_of(out).split())


def test_what_it_can_not_do_is_said(scan, tmp_path):
    assert "fpdf2" in ocrmypdf("--pdf-renderer", "sandwich", scan, tmp_path / "out.pdf", ok=False)
    assert "klingon" in ocrmypdf("-l", "klingon", scan, tmp_path / "out.pdf", ok=False)


def test_another_engine_can_be_chosen(scan, tmp_path):
    out = tmp_path / "out.pdf"
    ocrmypdf("--ocr-engine", "none", scan, out)
    assert "BAKERY" not in text_of(out)


@pytest.mark.parametrize("quality", ["fast", "best"])
def test_quality_chooses_models(quality, scan, tmp_path):
    out = tmp_path / "out.pdf"
    ocrmypdf("--maoocr-quality", quality, "--pages", "1", scan, out)
    assert "BAKERY" in text_of(out)
