"""Converts as Open WebUI's loader for docling-serve does: python docling_serve.py BASE PICTURE PDF

PDF has two scanned pages.
"""

import sys
from pathlib import Path

import requests

base, picture, pdf = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])


def convert(path, kind, **fields):
    # A form with settings, of which most steer models that docling alone has.
    settings = {"image_export_mode": "placeholder", "table_mode": "accurate", "do_ocr": "true", "pipeline": "standard"}
    files = {"files": (path.name, path.read_bytes(), kind)}
    answer = requests.post(f"{base}/v1/convert/file", files=files, data={**settings, **fields}, timeout=120)
    return answer.status_code, answer.json()


status, receipt = convert(picture, "image/jpeg")
assert status == 200 and receipt["status"] == "success" and receipt["errors"] == [], receipt
document = receipt["document"]
assert document["filename"] == picture.name
assert "CORNER BAKERY" in document["md_content"]
assert document["html_content"] is None and document["json_content"] is None
assert 0 < receipt["processing_time"] < 600

status, whole = convert(pdf, "application/pdf", to_formats=["md", "html", "text"])
assert status == 200, whole
document = whole["document"]
assert document["html_content"].startswith("<!doctype html>"), document["html_content"][:100]
second = document["text_content"].split("\f")[-1].split()
status, part = convert(pdf, "application/pdf", to_formats="text", page_range=["2", "9223372036854775807"])
assert status == 200 and part["document"]["md_content"] is None, part
assert part["document"]["text_content"].split() == second, part

for fields, code in [
    ({"to_formats": "json"}, "not_supported"),
    ({"target_type": "zip"}, "not_supported"),
    ({"page_range": "2"}, "invalid_pages"),
    ({"force_ocr": "banana"}, "invalid_field"),
]:
    status, problem = convert(pdf, "application/pdf", **fields)
    assert (status, problem["code"]) == (422, code), problem
files = [("files", (pdf.name, pdf.read_bytes(), "application/pdf"))] * 2
answer = requests.post(f"{base}/v1/convert/file", files=files, timeout=120)
assert (answer.status_code, answer.json()["code"]) == (422, "too_many_files"), answer.text
print("ok")
