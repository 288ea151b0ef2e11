"""OCRmyPDF with the plugin beside OCRmyPDF with Tesseract: words found, and CPU time, in one run.

    python crates/python/checks/ocrmypdf.py truth.jsonl NAME…

in an environment with `maoocr[ocrmypdf]` and `pypdfium2`, and with Tesseract's program installed. Each line of `truth.jsonl`
has an `id`, a `file` (a PDF, relative to the JSON file), and `pages` with their `text`; optional are `lang` (Tesseract's
code) and `redo` (the PDF has an older text layer to replace).
"""

import collections
import json
import resource
import subprocess
import sys
import tempfile
import time
import unicodedata
from pathlib import Path

import pypdfium2

PLUGIN = ["--plugin", "maoocr.ocrmypdf"]
ENGINES = {
    "Tesseract": [],
    "MaoOCR": PLUGIN,
    "MaoOCR, fast": [*PLUGIN, "--maoocr-quality", "fast"],
}
QUOTES = str.maketrans("’‘“”–—", "''\"\"--")


def words(text):
    """Words, however often each occurs."""
    return collections.Counter(unicodedata.normalize("NFKC", text).translate(QUOTES).split())


def text_of(pdf):
    document = pypdfium2.PdfDocument(pdf)
    return "\n".join(page.get_textpage().get_text_bounded() for page in document)


def cpu():
    """CPU seconds of ended children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(record, pdf, extra):
    """Words in the output, and the CPU seconds and seconds that it took."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.pdf")
        layer = "--redo-ocr" if record.get("redo") else "--skip-text"
        language = ["-l", record["lang"]] if "lang" in record else []
        common = ["--output-type", "pdf", "--jobs", "1"]
        command = [sys.executable, "-m", "ocrmypdf", *common, layer, *language, *extra, pdf, out]
        used, began = cpu(), time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{record['id']}: {done.stderr}")
        return words(text_of(out)), cpu() - used, time.perf_counter() - began


def said(counts):
    return f"word F1 {2 * counts['right'] / counts['all']:.3f}, CPU {counts['cpu']:.1f} s"


def main(truth, *names):
    totals = {engine: collections.Counter() for engine in ENGINES}
    with open(truth, encoding="utf-8") as file:
        records = [record for record in map(json.loads, file) if record["id"] in names or not names]
    for record in records:
        wanted = sum((words(page["text"]) for page in record["pages"]), collections.Counter())
        for engine, extra in ENGINES.items():
            found, used, took = run(record, Path(truth).parent / record["file"], extra)
            counts = {"right": (wanted & found).total(), "all": wanted.total() + found.total(), "cpu": used}
            totals[engine].update(counts)
            print(f"{record['id']:16} {engine:14} {said(counts)}, {took:.1f} s", flush=True)
    for engine, total in totals.items():
        print(f"{'all':16} {engine:14} {said(total)}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
