"""Tesseract's names for languages, and its options."""

import shlex
import warnings
from typing import Dict, List, Optional, Tuple

#: Tesseract's code → BCP 47 tag.
TAGS: Dict[str, str] = {
    "afr": "af", "ara": "ar", "aze": "az", "bel": "be", "bos": "bs", "bul": "bg", "cat": "ca", "ces": "cs",
    "chi_sim": "zh-Hans", "chi_sim_vert": "zh-Hans", "chi_tra": "zh-Hant", "chi_tra_vert": "zh-Hant", "cym": "cy",
    "dan": "da", "deu": "de", "ell": "el", "eng": "en", "est": "et", "eus": "eu", "fas": "fa", "fil": "fil", "fin": "fi",
    "fra": "fr", "gle": "ga", "glg": "gl", "hin": "hi", "hrv": "hr", "hun": "hu", "ind": "id", "isl": "is", "ita": "it",
    "jpn": "ja", "jpn_vert": "ja", "kaz": "kk", "kor": "ko", "lat": "la", "lav": "lv", "lit": "lt", "ltz": "lb",
    "mar": "mr", "mkd": "mk", "mlt": "mt", "mri": "mi", "msa": "ms", "nep": "ne", "nld": "nl", "nor": "no", "oci": "oc",
    "pol": "pl", "por": "pt", "que": "qu", "ron": "ro", "rus": "ru", "slk": "sk", "slv": "sl", "spa": "es", "sqi": "sq",
    "srp": "sr-Cyrl", "srp_latn": "sr-Latn", "swa": "sw", "swe": "sv", "tam": "ta", "tel": "te", "tha": "th", "tur": "tr",
    "ukr": "uk", "urd": "ur", "uzb": "uz", "vie": "vi",
}  # fmt: skip

#: Languages whose letters need a recogniser of their own.
OWN_SCRIPT = {"ar", "be", "bg", "el", "fa", "hi", "kk", "ko", "mk", "mr", "ne", "ru", "sr-Cyrl", "ta", "te", "th", "uk", "ur"}


def language(codes: Optional[str]) -> str:
    """The language to ask for: one code's own; of several the one whose script the general recogniser lacks, as its
    recogniser reads Latin letters, too; else ``auto``.

    Raises:
        ValueError: A code is unknown; it says which.
    """
    wanted = [code for code in (codes or "").split("+") if code and code not in ("osd", "equ")]
    unknown = [code for code in wanted if code not in TAGS]
    if unknown:
        raise ValueError(f"Error opening data file for language {', '.join(unknown)}: this engine doesn't know it")
    tags = [TAGS[code] for code in wanted]
    own = [tag for tag in tags if tag in OWN_SCRIPT]
    if own:
        if len(set(own)) > 1:
            warnings.warn(f"maoocr reads one script of its own at a time: {own[0]} of {', '.join(own)}", stacklevel=4)
        return own[0]
    return tags[0] if len(set(tags)) == 1 else "auto"


def options(config: str) -> Tuple[int, List[str], Optional[str]]:
    """Page segmentation mode, parameters that have no effect here, and a language, of Tesseract's command line."""
    words = shlex.split(config)
    mode, ignored, lang = 3, [], None
    index = 0
    while index < len(words):
        word, value = words[index], words[index + 1] if index + 1 < len(words) else ""
        index += 1
        if word in ("--psm", "-psm"):
            mode = int(value)
        elif word == "-l":
            lang = value
        elif word == "-c":
            name = value.split("=")[0]
            if not name.startswith("tessedit_create_"):
                ignored.append(name)
        elif word in ("--tessdata-dir", "--user-words", "--user-patterns"):
            ignored.append(word)
        elif word not in ("--oem", "-oem", "--dpi", "--loglevel"):
            # A configuration file's name, such as `pdf`.
            continue
        index += 1
    return mode, ignored, lang
