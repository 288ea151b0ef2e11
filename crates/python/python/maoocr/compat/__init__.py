"""Stand-ins for other OCR packages: change the import, keep the calls.

* :mod:`maoocr.compat.rapidocr` for ``rapidocr`` 3
* :mod:`maoocr.compat.pytesseract` for ``pytesseract`` 0.3
"""

import threading
from typing import Optional

from .._engine import MaoOCR

_lock = threading.Lock()
_shared: Optional[MaoOCR] = None


def shared_engine() -> MaoOCR:
    """The engine of callers that don't hold one."""
    global _shared
    with _lock:
        if _shared is None:
            _shared = MaoOCR()
        return _shared
