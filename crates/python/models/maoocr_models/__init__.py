"""The default models of MaoOCR, beside this file. Nothing to call: ``maoocr`` finds them."""
