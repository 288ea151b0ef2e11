"""What can go wrong. Every exception has a stable ``code`` for programs and a message for people."""

from typing import List, Optional

__all__ = [
    "Cancelled",
    "DeviceError",
    "ImageError",
    "InputError",
    "MaoOCRError",
    "ModelError",
    "RequirementError",
]


class MaoOCRError(Exception):
    """Base class of all errors of this package.

    Attributes:
        code: A stable identifier for programs, such as ``truncated`` or ``model_not_installed``. The command, the server
            and this package use the same codes.
        detail: What is wrong and what to do about it.
    """

    code: str
    detail: str

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class ImageError(MaoOCRError, ValueError):
    """The file or image can't be decoded: ``empty``, ``unknown_format``, ``unsupported``, ``truncated``,
    ``malformed``, ``too_large``, ``too_many_pixels``, ``too_many_pages``, ``out_of_memory``, ``password_required``,
    ``password_wrong``, ``too_complex``."""


class InputError(MaoOCRError, TypeError):
    """An argument has a type or value that can't be used: ``invalid_argument``."""


class RequirementError(MaoOCRError, ValueError):
    """A requirement is unknown or has an unknown value: ``invalid_requirements``.

    Attributes:
        field: The requirement.
        allowed: The allowed values.
    """

    field: str
    allowed: List[str]

    def __init__(self, code: str, detail: str, field: str = "", allowed: Optional[List[str]] = None) -> None:
        super().__init__(code, detail)
        self.args = (code, detail, field, allowed)
        self.field = field
        self.allowed = allowed or []


class ModelError(MaoOCRError):
    """A model is missing, damaged or fails: ``model_not_installed``, ``model_not_fetched``, ``model_damaged``,
    ``model_unusable``, ``model_failed``, ``no_such_model``, ``model_store``."""


class DeviceError(MaoOCRError):
    """The device doesn't exist or was lost: ``no_such_device``, ``device_lost``."""


class Cancelled(MaoOCRError):
    """The caller cancelled the work: ``cancelled``."""
