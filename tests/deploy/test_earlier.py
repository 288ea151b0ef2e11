"""A client of an earlier version: plain HTTP, no key, pictures by their path on this machine."""

import functools
import http.client
import json
import os

import pytest

from conftest import free_port, service, succeeds
from shipped import ROOT, compose, healthcheck, image_environment, settings


@pytest.fixture(scope="module")
def earlier(binary, place):
    """The server of compose.earlier.yaml: its port, and the folder of its pictures as its callers know it."""
    pictures = place / "scans"
    (pictures / "march").mkdir(parents=True)
    (pictures / "march/receipt.jpg").write_bytes((ROOT / "tests/samples/receipt.jpg").read_bytes())
    # What a container is given: the folder in another place.
    mounted = place / "mounted"
    mounted.symlink_to(pictures)
    shipped = compose({"MAOOCR_PICTURES": str(pictures)}, "compose.earlier.yaml")["services"]["earlier"]
    environment = image_environment("cpu") | settings(shipped)
    assert environment["MAOOCR_FILE_ROOT_NAMES"] == str(pictures)
    environment |= {
        "MAOOCR_FILE_ROOT": str(mounted),
        "MAOOCR_FILE_ROOT_NAMES": f"{pictures},C:\\Users\\Ann\\scans",
        "MAOOCR_MODELS": os.environ["MAOOCR_MODELS"],
        "MAOOCR_DATA": str(place / "earlier-data"),
        "MAOOCR_LISTEN": environment["MAOOCR_LISTEN"].replace("8000", str(free_port())),
    }
    ready = functools.partial(succeeds, [str(binary), *healthcheck("cpu")[1:]], **environment)
    with service([binary, "serve"], place / "earlier.log", ready, environment, cwd=place):
        yield int(environment["MAOOCR_LISTEN"].split(":")[1]), pictures


def post(port, body, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/api/ocr/recognize", json.dumps(body), {"Content-Type": "application/json"} | headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


def test_a_picture_is_read_by_its_whole_path(earlier):
    port, pictures = earlier
    for path in (str(pictures / "march/receipt.jpg"), "C:\\Users\\Ann\\scans\\march\\receipt.jpg", "march/receipt.jpg"):
        status, answer = post(port, {"image_path": path})
        assert status == 200 and "RECEIPT" in answer["text"].upper(), (path, answer)


def test_other_paths_are_not_read(earlier):
    port, pictures = earlier
    for path in ("/etc/hostname", f"{pictures}/../earlier.log", "D:\\a.png"):
        status, problem = post(port, {"image_path": path})
        assert (status, problem["code"]) == (403, "path_not_allowed"), problem


def test_a_page_under_a_name_of_its_own_reaches_nothing(earlier):
    """A name that leads to this machine, as in DNS rebinding."""
    port, pictures = earlier
    path = {"image_path": str(pictures / "march/receipt.jpg")}
    own = {"Host": f"evil.example:{port}", "Origin": f"http://evil.example:{port}"}
    assert post(port, path, **own)[1]["code"] == "host_not_allowed"
    foreign = {"Origin": "https://evil.example"}
    assert post(port, path, **foreign)[1]["code"] == "origin_not_allowed"
