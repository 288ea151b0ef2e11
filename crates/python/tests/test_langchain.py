"""The loader, as LangChain calls it."""

import pytest

from maoocr.langchain import MaoOCRLoader


def test_pages_are_documents(scan, receipt, ocr):
    documents = MaoOCRLoader([scan, str(receipt)], engine=ocr).load()
    assert [(d.metadata["page"], d.metadata["total_pages"]) for d in documents] == [(0, 2), (1, 2), (0, 1)]
    assert "BAKERY" in documents[0].page_content and documents[2].metadata["source"] == str(receipt)


def test_a_file_is_a_document(scan, ocr):
    (document,) = MaoOCRLoader(scan, mode="single", markdown=True, engine=ocr).lazy_load()
    assert document.page_content == ocr.recognize(scan).to_markdown()
    with pytest.raises(ValueError):
        MaoOCRLoader(scan, markdown=True)
