"""``python -m maoocr``: reads pictures and fetches models. The command ``maoocr`` does more."""

import argparse
import sys
from typing import List, Optional

from . import MaoOCR, MaoOCRError, __version__, pull


def main(arguments: Optional[List[str]] = None) -> int:
    """Runs a command; returns its exit code: 0, 1 where something can't be read or fetched, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m maoocr", description="Read the text in pictures and documents.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    read = commands.add_parser("recognize", help="read pictures and PDFs")
    read.add_argument("files", nargs="+", metavar="FILE")
    read.add_argument("--format", default="txt", help="txt, md, html, json, hocr, alto, page, tsv or csv")
    read.add_argument("--models", metavar="FOLDER")
    fetch = commands.add_parser("pull", help="fetch models")
    fetch.add_argument("names", nargs="*", metavar="NAME")
    fetch.add_argument("--models", metavar="FOLDER")
    fetch.add_argument("--offline", action="store_true", help="only verify what is there")
    given = parser.parse_args(arguments)
    try:
        if given.command == "pull":
            print(pull(given.names, models=given.models, offline=given.offline))
            return 0
    except (MaoOCRError, OSError) as error:
        print(f"maoocr: {error}", file=sys.stderr)
        return 1
    ocr = MaoOCR(models=given.models)
    failed = False
    for file in given.files:
        try:
            sys.stdout.buffer.write(ocr.recognize(file).export(given.format))
            sys.stdout.buffer.flush()
        except (MaoOCRError, OSError) as error:
            print(f"maoocr: {file}: {error}", file=sys.stderr)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
