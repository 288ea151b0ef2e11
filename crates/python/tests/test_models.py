"""Where models come from."""

import os
import subprocess
import sys

import pytest

import maoocr
from maoocr import MaoOCR


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment},
    )


def test_without_models_and_network_the_way_out_is_said(tmp_path, receipt):
    engine = MaoOCR(models=tmp_path / "none", offline=True)
    with pytest.raises(maoocr.ModelError) as raised:
        engine.recognize(receipt)
    assert raised.value.code == "model_not_installed" and "maoocr.pull" in str(raised.value)
    # What can't be reached: a proxy that nobody serves.
    closed = "http://127.0.0.1:9"
    unreachable = {"PIP_INDEX_URL": closed, "PIP_RETRIES": "0", "HTTPS_PROXY": closed, "HTTP_PROXY": closed}
    code = f"from maoocr import MaoOCR; MaoOCR().recognize({str(receipt)!r})"
    said = run("-c", code, MAOOCR_MODELS=str(tmp_path / "models"), PIP_NO_INPUT="1", **unreachable).stderr
    assert "maoocr.errors.ModelError" in said and "can't be downloaded" in said
    assert "python -m maoocr pull --models FOLDER" in said and "MAOOCR_MODELS" in said


def test_a_folder_is_taken_from_the_environment(ocr, receipt):
    code = f"from maoocr import MaoOCR; m = MaoOCR(offline=True); print(m.models_folder, len(m.recognize({str(receipt)!r}).text) > 50)"
    folder = ocr.models_folder
    done = run("-c", code, MAOOCR_MODELS=folder)
    assert done.stdout.strip() == f"{folder} True", done.stderr


def test_what_is_known_of_models(ocr):
    models = {entry["model"]["name"]: entry for entry in maoocr.models()}
    assert models["ppocrv6-small-rec"]["installed"] and models["ppocrv6-small-rec"]["path"].endswith(".onnx")
    assert maoocr.pull(["ppocrv6-tiny-det"], offline=True) == ocr.models_folder
    with pytest.raises(maoocr.ModelError) as raised:
        maoocr.pull(["no-such-model"])
    assert raised.value.code == "no_such_model"


def test_the_module_is_a_command(receipt, ocr, tmp_path):
    done = run("-m", "maoocr", "recognize", receipt, "--models", ocr.models_folder)
    assert "CORNER BAKERY" in done.stdout and done.returncode == 0, done.stderr
    done = run("-m", "maoocr", "recognize", receipt, tmp_path / "none", "--format", "md", "--models", ocr.models_folder)
    assert "CORNER BAKERY" in done.stdout and done.returncode == 1 and "none" in done.stderr
    assert run("-m", "maoocr", "pull", "--offline", "--models", tmp_path).returncode == 1
