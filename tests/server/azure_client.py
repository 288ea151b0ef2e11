"""Analyses documents with Azure's own client: python azure_client.py BASE KEY PICTURE PDF OUT

PDF has two scanned pages; OUT is a folder for the PDFs that are made. The first call is paperless-ngx's.
"""

import re
import sys
from pathlib import Path

from azure.ai.documentintelligence import DocumentIntelligenceClient
from azure.ai.documentintelligence.models import AnalyzeDocumentRequest, AnalyzeOutputOption, DocumentContentFormat
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError

base, key = sys.argv[1:3]
picture, pdf, out = map(Path, sys.argv[3:])
client = DocumentIntelligenceClient(endpoint=base, credential=AzureKeyCredential(key))

for file, words in [(picture, ["CORNER BAKERY"]), (pdf, ["Region-based", "Compiling serde"])]:
    request = AnalyzeDocumentRequest(bytes_source=file.read_bytes())
    poller = client.begin_analyze_document(
        model_id="prebuilt-read",
        body=request,
        output_content_format=DocumentContentFormat.TEXT,
        output=[AnalyzeOutputOption.PDF],
        content_type="application/json",
    )
    poller.wait()
    result = poller.result()
    for word in words:
        assert word in result.content, result.content
    archive = out / f"{file.stem}.archive.pdf"
    with archive.open("wb") as made:
        pdf_parts = client.get_analyze_result_pdf(
            model_id="prebuilt-read", result_id=poller.details["operation_id"]
        )
        for part in pdf_parts:
            made.write(part)
    assert archive.read_bytes().startswith(b"%PDF-")

    assert result.model_id == "prebuilt-read" and result.string_index_type
    page = result.pages[0]
    assert page.unit == ("inch" if file == pdf else "pixel") and page.page_number == 1
    for page in result.pages:
        assert page.words and page.lines
        for line in page.lines:
            assert len(line.polygon) == 8
            # The receipts and pages have no character of several code points.
            span = line.spans[0]
            assert result.content[span.offset : span.offset + span.length] == line.content
        for word in page.words:
            assert result.content[word.span.offset :].startswith(word.content), word
    assert any(word in paragraph.content for word in words for paragraph in result.paragraphs)

# The bytes alone, one page of them, with structure: as text, and as Markdown.
with pdf.open("rb") as body:
    poller = client.begin_analyze_document("prebuilt-layout", body, pages="2", locale="en-US")
result = poller.result()
assert [page.page_number for page in result.pages] == [2], result.pages
assert result.content_format == "text" and "Compiling serde" in result.content
assert result.tables is not None
with pdf.open("rb") as body:
    poller = client.begin_analyze_document(
        "prebuilt-layout", body, output_content_format=DocumentContentFormat.MARKDOWN
    )
result = poller.result()
assert result.content_format == "markdown" and "Compiling serde" in result.content.replace("\\", "")


def read(span):
    """What is there, without Markdown's escapes."""
    return re.sub(r"\\([!-/:-@[-`{-~])", r"\1", result.content[span.offset : span.offset + span.length])


for page in result.pages:
    there = [word for word in page.words if word.span.length]
    assert len(there) > 0.97 * len(page.words), [word.content for word in page.words if not word.span.length]
    for word in there:
        # A word that goes on in the next line has lost its hyphen.
        assert read(word.span) in (word.content, word.content[:-1]), (read(word.span), word.content)
    assert all(line.spans for line in page.lines)
for paragraph in result.paragraphs:
    assert paragraph.spans, paragraph.content
    assert paragraph.content.split()[0] in read(paragraph.spans[0]), paragraph.content
operation = poller.details["operation_id"]


def refused(code, call):
    try:
        call()
    except HttpResponseError as error:
        assert error.error and error.error.code == code, error
        return
    raise AssertionError(code)


def analyze(body=pdf.read_bytes(), model="prebuilt-layout", **more):
    return lambda: client.begin_analyze_document(model, body, **more).result()


refused("not_supported", analyze(features=["keyValuePairs"]))
refused("not_supported", analyze(output=["figures"]))
refused("not_supported", analyze(model="prebuilt-read", output_content_format="markdown"))
refused("invalid_pages", analyze(pages="x"))
refused("unknown_format", analyze(body=b"hello"))
refused("empty", analyze(body=b""))
refused("not_found", lambda: list(client.get_analyze_result_pdf("prebuilt-layout", operation)))
refused("not_found", lambda: list(client.get_analyze_result_pdf("prebuilt-read", operation)))
client.delete_analyze_result("prebuilt-layout", operation)
refused("not_found", lambda: client.delete_analyze_result("prebuilt-layout", operation))

# What is found only while it is read is the result.
try:
    analyze(pages="7")()
    raise AssertionError("there is no page 7")
except HttpResponseError as error:
    assert "`pages` selects none" in str(error), error
print("Azure's client: ok")
