"""What PDFium copies from a searchable PDF; `crates/pdf/tests/viewers.rs` makes the file."""

import pypdfium2

from conftest import ROOT

FILES = ROOT / "crates/pdf/tests/viewers"


def test_words_are_copied_in_reading_order():
    expected = (FILES / "expected.txt").read_text(encoding="utf-8").splitlines()
    document = pypdfium2.PdfDocument(FILES / "layer.pdf")
    copied = [" ".join(page.get_textpage().get_text_range().split()) for page in document]
    # It takes vertical lines from the left.
    expected[5] = " ".join(reversed(expected[5].split(" | ")))
    assert copied == [text.replace(" | ", " ") for text in expected]


def test_words_are_found():
    document = pypdfium2.PdfDocument(FILES / "layer.pdf")
    for page, words in [(0, "along the quay"), (1, "page says"), (2, "slope stay"), (3, "船舶数量"), (4, "הספנים"), (5, "猫"), (6, "2026年8月")]:
        assert document[page].get_textpage().search(words).get_next(), words
