"""MaoOCR: the text in pictures and documents.

>>> from maoocr import MaoOCR
>>> ocr = MaoOCR()
>>> result = ocr.recognize("receipt.jpg")
>>> result.text, result.confidence, result.processing_time, result.selected_models

Models (51 MB) are fetched on first use into the user's cache folder. For machines without a network,
install ``maoocr[models]``; or run ``python -m maoocr pull --models FOLDER`` elsewhere, copy the folder and set
``MAOOCR_MODELS`` to it.
"""

from ._engine import MaoOCR, Readable
from ._maoocr import LANGUAGES, VERSION, Cancel
from ._models import models, pull
from .errors import (
    Cancelled,
    DeviceError,
    ImageError,
    InputError,
    MaoOCRError,
    ModelError,
    RequirementError,
)
from .result import Block, Line, Page, Region, Result, Word

__version__ = VERSION

__all__ = [
    "LANGUAGES",
    "Block",
    "Cancel",
    "Cancelled",
    "DeviceError",
    "ImageError",
    "InputError",
    "Line",
    "MaoOCR",
    "MaoOCRError",
    "ModelError",
    "Page",
    "Readable",
    "Region",
    "RequirementError",
    "Result",
    "Word",
    "__version__",
    "models",
    "pull",
]
