"""What users write, as a type checker sees it. It is checked, not run."""

import asyncio
from typing import List

import numpy as np

from maoocr import Line, MaoOCR, MaoOCRError, Result


def read(path: str) -> List[str]:
    ocr = MaoOCR(threads=2, models="models")
    result: Result = ocr.recognize(path, pages=[0], password="secret")
    lines: List[Line] = result.lines
    first: float = lines[0].box[0][0]
    text: str = ocr.recognize(np.zeros((4, 4, 3), np.uint8), channels="BGR").text
    pdf: bytes = result.to_pdf()
    try:
        results = [r.text for r in ocr.batch([path], {"language": "en"}, errors="return")]
    except MaoOCRError as error:
        code: str = error.code
        return [code]
    return [*results, text, str(first), result.to_markdown(), str(len(pdf)), result.words[0].text]


async def later(path: str) -> str:
    ocr = MaoOCR()
    async for line in ocr.stream_async(path, live=True):
        withdrawn: bool = line.withdrawn
        assert not withdrawn
    return (await ocr.recognize_async(path, {"real_time": True})).text


asyncio.run(later("a.png"))
