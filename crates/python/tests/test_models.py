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


@pytest.fixture
def packaged(tmp_path):
    """The package of models, installed into a folder of its own."""
    folder = tmp_path / "site"
    wheel = os.environ["MAOOCR_MODELS_WHEEL"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", folder, wheel]
    subprocess.run(pip, check=True)
    return folder


def test_the_package_of_models_needs_no_network(packaged, receipt, tmp_path):
    apart = {"PYTHONPATH": str(packaged), "MAOOCR_OFFLINE": "1", "MAOOCR_MODELS": str(tmp_path / "none")}
    code = f"""
import maoocr
ocr = maoocr.MaoOCR()
for speed in "medium", "high":
    result = ocr.recognize_with_requirements({str(receipt)!r}, {{"speed_requirement": speed, "real_time": speed == "high"}})
    print(result.plan["recogniser"], "CORNER BAKERY" in result.text)
maoocr.pull(offline=True)
"""
    done = run("-c", code, **apart)
    assert done.stdout.split() == ["ppocrv6-small-rec", "True", "ppocrv6-tiny-rec", "True"], done.stderr
    assert not (tmp_path / "none").exists()
    # A folder that is given is the only one.
    assert run("-m", "maoocr", "pull", "--offline", "--models", tmp_path, **apart).returncode == 1

    # Weights that aren't what they should be are as good as none.
    path = packaged / "maoocr_models/ppocrv6-small-rec.onnx"
    changed = bytearray(path.read_bytes())
    changed[5_000_000] ^= 1
    path.write_bytes(changed)
    done = run("-c", code, **apart)
    assert "ppocrv6-small-rec" not in done.stdout and done.returncode == 1
    assert "maoocr[models]" in done.stderr and "ppocrv6-small-rec" in done.stderr


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
