"""deploy/deploy.sh, with a program in Docker's place that notes what it is asked: no machine that runs tests need have
Docker. It answers as Docker does; ports and files are real."""

import os
import shutil
import socket
import subprocess

import pytest

from shipped import DEPLOY, ENVIRONMENT, program

# `compose version`, `info` and `compose up` fail where FAILS names them; nothing runs yet.
DOCKER = """#!/bin/sh
echo "$*" >> "$ASKED"
case " $FAILS " in *" ${2:-$1} "* | *" $1 "*) echo "it says why" >&2; exit 1 ;; esac
case "$*" in *" up "*) [ "${FAILS#*up}" = "$FAILS" ] || exit 1 ;; esac
"""


class Script:
    """A copy of deploy/ with a filled-in .env, and what Docker was asked."""

    def __init__(self, folder):
        self.folder = folder / "deploy"
        shutil.copytree(DEPLOY, self.folder, ignore=shutil.ignore_patterns(".env", "tls"))
        self.asked_at = folder / "asked"
        self.asked_at.touch()
        tools = folder / "tools"
        tools.mkdir()
        (tools / "docker").write_text(DOCKER)
        (tools / "docker").chmod(0o755)
        self.tools = tools
        tls = folder / "tls"
        tls.mkdir()
        for name in ("tls.crt", "tls.key"):
            (tls / name).touch()
        self.ports = [free_port() for _ in range(3)]
        self.settings = ENVIRONMENT | {
            "MAOOCR_TLS_FOLDER": str(tls),
            "MAOOCR_HTTP_PUBLISH": str(self.ports[0]),
            "MAOOCR_HTTPS_PUBLISH": f"127.0.0.1:{self.ports[1]}",
            "MAOOCR_EARLIER_PUBLISH": f"127.0.0.1:{self.ports[2]}",
        }

    def run(self, *arguments, docker=True, fails=""):
        lines = [f"{name}={value}" for name, value in self.settings.items()]
        (self.folder / ".env").write_text("\n".join(lines))
        # Only what a POSIX system has, so that the machine's own Docker isn't found.
        posix = self.folder.parent / "posix"
        if not posix.exists():
            posix.mkdir()
            for name in ("awk", "cat", "dirname", "grep", "printf", "sed", "sh", "tail"):
                (posix / name).symlink_to(program(name))
        path = os.pathsep.join([str(self.tools)] * docker + [str(posix)])
        environment = {"PATH": path, "ASKED": str(self.asked_at), "FAILS": fails}
        done = subprocess.run(
            [self.folder / "deploy.sh", *arguments], env=environment, capture_output=True, text=True, timeout=60
        )
        return done.returncode, done.stdout, done.stderr

    def asked(self):
        return self.asked_at.read_text().splitlines()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def script(tmp_path):
    return Script(tmp_path)


def test_it_builds_starts_waits_and_says_where_it_is(script):
    code, said, errors = script.run()
    assert (code, errors) == (0, ""), errors
    assert script.asked()[-1] == "compose -f compose.yaml up --detach --build --wait --wait-timeout 300"
    assert "https://localhost/docs" in said and "keys create" in said


def test_its_options_choose_files(script):
    (script.folder / "alertmanager/alertmanager.yml").touch()
    script.settings["MAOOCR_IMAGE"] = "registry.example/maoocr"
    pictures = script.folder.parent / "scans"
    pictures.mkdir()
    code, said, errors = script.run("--gpu", "--alerts", "--webhooks", "--pull", "--earlier", pictures, "--wait", "60")
    assert (code, errors) == (0, ""), errors
    names = ["", ".gpu", ".alerts", ".webhooks", ".earlier"]
    files = " ".join(["compose", *(f"-f compose{name}.yaml" for name in names)])
    assert script.asked()[-2:] == [f"{files} pull", f"{files} up --detach --no-build --wait --wait-timeout 60"]
    assert f"http://127.0.0.1:{script.ports[2]} (pictures in {pictures})" in said


def test_earlier_clients_alone_need_no_settings(script):
    script.settings = {"MAOOCR_EARLIER_PUBLISH": script.ports[2]}
    code, said, errors = script.run("--only-earlier", script.folder)
    assert (code, errors) == (0, ""), errors
    assert script.asked()[-1].startswith("compose -f compose.earlier.yaml up ")
    assert f"http://localhost:{script.ports[2]}" in said and "https" not in said


def test_what_is_missing_is_named(script):
    def refused(word, *arguments, **options):
        code, said, errors = script.run(*arguments, **options)
        assert (code, said) == (2, ""), said
        assert errors.startswith("deploy.sh: ") or options.get("fails"), errors
        assert word in errors, errors
        assert not any(" up " in line for line in script.asked())

    refused("Docker is not installed", docker=False)
    refused("no Compose 2", fails="version")
    refused("Docker doesn't respond", fails="info")
    refused("--sideways", "--sideways")
    refused("needs a folder", "--earlier")
    refused("is not a folder", "--earlier", "/nowhere/at/all")
    refused("number of seconds", "--wait", "soon")
    refused("MAOOCR_IMAGE", "--pull")
    refused("alertmanager.yml is missing", "--alerts")
    (script.folder.parent / "tls/tls.key").unlink()
    refused("tls.key is missing")
    script.settings["POSTGRES_PASSWORD"] = ""
    refused("POSTGRES_PASSWORD is empty")


def test_a_port_that_is_taken_is_named(script):
    for number, name in enumerate(["MAOOCR_HTTP_PUBLISH", "MAOOCR_HTTPS_PUBLISH", "MAOOCR_EARLIER_PUBLISH"]):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", script.ports[number]))
            listener.listen()
            code, _, errors = script.run("--earlier", script.folder)
        assert code == 2 and f"port {script.ports[number]} is taken" in errors and name in errors, errors
    assert script.run("--earlier", script.folder)[0] == 0


def test_what_does_not_become_healthy_is_shown(script):
    code, said, errors = script.run(fails="up")
    assert code == 1 and "not healthy" in errors and "MaoOCR is running" not in said
    assert any("logs" in line for line in script.asked())


def test_help_has_every_option(script):
    code, said, _ = script.run("--help", docker=False)
    assert code == 0
    options = {"--pull", "--no-build", "--gpu", "--alerts", "--webhooks", "--earlier", "--only-earlier"}
    options |= {"--wait", "--help"}
    assert {word for word in said.split() if word.startswith("--")} == options
