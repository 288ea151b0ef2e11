#!/usr/bin/env python3
"""Turns what `maoocr batch` wrote into one line a document, as scorers want it.

  mkdir -p OUT
  maoocr batch PAGES --format md -o OUT --jsonl OUT/answers.jsonl --jobs 1 --threads 1
  predictions.py TRUTH.jsonl OUT > predictions.jsonl

TRUTH.jsonl: one object a line with `id` and `file`, of which only the name counts. Printed: {"id", "markdown",
"seconds"}. A document that was not read is an empty one: nothing is skipped.
"""

import json
import sys
from pathlib import Path


def main(truth: Path, out: Path) -> None:
    seconds = {}
    for line in (out / "answers.jsonl").read_text(encoding="utf-8").splitlines():
        answer = json.loads(line)
        seconds[Path(answer["file"]).stem] = answer.get("seconds", 0.0)
    for line in truth.read_text(encoding="utf-8").splitlines():
        wanted = json.loads(line)
        if "file" not in wanted:
            continue
        stem = Path(wanted["file"]).stem
        path = out / f"{stem}.md"
        markdown = path.read_text(encoding="utf-8") if path.exists() else ""
        predicted = {"id": wanted["id"], "markdown": markdown, "seconds": seconds.get(stem, 0.0)}
        print(json.dumps(predicted, ensure_ascii=False))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
