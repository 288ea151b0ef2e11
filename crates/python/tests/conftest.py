"""The wheel, as users install it, on the repository's samples.

`MAOOCR_BIN` is the command to compare with; its models are there.
"""

import json
import os
import subprocess
from pathlib import Path

import pypdfium2
import pytest

from maoocr import MaoOCR

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "tests/samples"


def text_of(pdf):
    """The text of a PDF, a path or bytes, as PDFium finds it."""
    document = pypdfium2.PdfDocument(pdf)
    return "\f".join(page.get_textpage().get_text_range() for page in document)


@pytest.fixture(scope="session")
def ocr():
    return MaoOCR(offline=True)


@pytest.fixture(scope="session")
def tiny(ocr):
    """Requirements that choose the fastest models."""
    return {"speed_requirement": "high", "real_time": True}


@pytest.fixture(scope="session")
def receipt():
    return SAMPLES / "receipt.jpg"


@pytest.fixture(scope="session")
def command(tmp_path_factory):
    """What the command says of the samples: by file name, a line of `maoocr batch`."""
    out = tmp_path_factory.mktemp("command") / "out.jsonl"
    binary = os.environ["MAOOCR_BIN"]
    # Some of the files are broken on purpose, so it ends with 1.
    done = subprocess.run([binary, "batch", SAMPLES, "--jsonl", out, "--offline"], capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    return {line["file"]: line for line in lines}


@pytest.fixture(scope="session")
def scan(tmp_path_factory, receipt):
    """A PDF of two pages that are pictures."""
    from PIL import Image

    path = tmp_path_factory.mktemp("scan") / "scan.pdf"
    first = Image.open(receipt).convert("RGB")
    second = Image.open(SAMPLES / "transparent.png").convert("RGBA")
    white = Image.new("RGB", second.size, "white")
    white.paste(second, mask=second.getchannel("A"))
    first.save(path, save_all=True, append_images=[white], resolution=150)
    return path
