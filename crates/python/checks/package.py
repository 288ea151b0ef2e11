"""The installed wheel in a plain environment: the command's text, threads, memory.

    python -m venv fresh && fresh/bin/pip install --find-links WHEELS 'maoocr[models,pillow]'
    fresh/bin/python crates/python/checks/package.py --command maoocr --calls 10000

It fails if a sample's text isn't the command's, or if memory grows by more than 20 MB.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from PIL import Image

from maoocr import ImageError, MaoOCR

SAMPLES = Path(__file__).resolve().parents[3] / "tests/samples"
FAST = {"speed_requirement": "high", "real_time": True}


def samples(command):
    """Compares the text of every sample with that of `maoocr batch`."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.jsonl")
        # Some files are broken on purpose, so it ends with 1.
        subprocess.run([command, "batch", SAMPLES, "--jsonl", out, "--offline"], stderr=subprocess.DEVNULL)
        wanted = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    if not any("text" in line for line in wanted):
        sys.exit(f"{command} read no sample")
    ocr = MaoOCR(offline=True)
    for line in wanted:
        try:
            found, expected = ocr.recognize(SAMPLES / line["file"]).text, line.get("text")
        except (ImageError, OSError) as error:
            found, expected = error.code, line.get("error", {}).get("code")
        if found != expected:
            sys.exit(f"{line['file']}: {found!r}, but the command says {expected!r}")
    read = sum("text" in line for line in wanted)
    print(f"samples: {read} texts and {len(wanted) - read} errors are the command's", flush=True)


def threads(rounds=5):
    """How much faster two Python threads read than one, with one thread per page. Needs two free cores: see those in use."""
    ocr = MaoOCR(offline=True, threads=1)
    data = (SAMPLES / "receipt.jpg").read_bytes()

    def work(times):
        for _ in range(times):
            ocr.recognize_with_requirements(data, FAST)

    def measured(count, times):
        began, cpu = time.perf_counter(), time.process_time()
        started = [threading.Thread(target=work, args=(times // count,)) for _ in range(count)]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()
        return time.perf_counter() - began, time.process_time() - cpu

    work(2)
    faster = []
    for _ in range(rounds):
        (one, cpu_of_one), (two, cpu_of_two) = measured(1, 8), measured(2, 8)
        faster.append(one / two)
        print(
            f"threads: {one:.2f} s with one, {two:.2f} s with two: {one / two:.2f} times as fast; "
            f"cores in use {cpu_of_one / one:.2f} and {cpu_of_two / two:.2f}",
            flush=True,
        )
    print(f"threads: {statistics.median(faster):.2f} times as fast (median)")


def resident():
    """Memory in MB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def calls(count):
    """Memory over many calls."""
    ocr = MaoOCR(offline=True, threads=1)
    picture = Image.open(SAMPLES / "dark.png").convert("RGB").crop((0, 0, 160, 64))
    early = 0.0
    for done in range(1, count + 1):
        ocr.recognize_with_requirements(picture, FAST)
        if done == 100:
            early = resident()
        if done in (100, 1000, 5000) or done == count:
            print(f"calls: {done:,}: {resident():.1f} MB", flush=True)
    if count > 100 and resident() - early > 20:
        sys.exit("memory grows")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default="maoocr", help="the command to compare with")
    parser.add_argument("--calls", type=int, default=1000)
    arguments = parser.parse_args()
    print(f"Python {sys.version.split()[0]}", flush=True)
    samples(arguments.command)
    threads()
    calls(arguments.calls)
