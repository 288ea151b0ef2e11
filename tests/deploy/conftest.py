"""The services of deploy/compose.yaml, from the system's packages, with the settings that are shipped.

What is replaced is where they are: hosts, ports and folders. Everything ends with the tests.
"""

import contextlib
import functools
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from shipped import (
    DEPLOY,
    PATH,
    ROOT,
    compose,
    healthcheck,
    image_environment,
    nginx_conf,
    program,
    settings,
)

# Two servers on the same port of addresses of their own, as in a network of containers.
SERVERS = ["127.0.0.2", "127.0.0.3"]


@pytest.fixture(scope="session")
def binary():
    """The command."""
    path = Path(os.environ["MAOOCR_BIN"])
    assert path.is_file(), f"MAOOCR_BIN: there is no {path}"
    return path


@pytest.fixture(scope="session")
def options(binary):
    """The server's variables, with their defaults."""
    said = subprocess.run([binary, "serve", "--help"], capture_output=True, text=True, check=True).stdout
    return {
        name: default
        for name, default in re.findall(r"\[env: (\w+)=?[^\]]*\](?:\s+\[default: ([^\]]*)\])?", said)
    }


@pytest.fixture(scope="session")
def place():
    """A folder that the services' users can read."""
    with tempfile.TemporaryDirectory(prefix="maoocr-deploy-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def free_port(host="127.0.0.1"):
    with socket.socket() as listener:
        listener.bind((host, 0))
        return listener.getsockname()[1]


def own(path, user):
    """Gives a new folder to a user, where this one may; returns how to run as that user."""
    path.mkdir()
    if os.geteuid() != 0:
        return {}
    shutil.chown(path, user)
    return {"user": user, "group": "nogroup" if user == "nobody" else user, "extra_groups": []}


def wait_until(ready, process, log, seconds=30):
    end = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            raise AssertionError(f"{process.args} is not ready:\n{log.read_text()[-4000:]}")
        time.sleep(0.05)


@contextlib.contextmanager
def service(command, log, ready, environment=None, **options):
    """A program that runs until the end of the block."""
    # nginx opens it once more, as its own user.
    log.touch()
    log.chmod(0o666)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={"PATH": PATH} | (environment or {}),
            **options,
        )
    try:
        wait_until(ready, process, log)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return response.status < 300
    except (urllib.error.URLError, OSError):
        return False


def succeeds(command, **environment):
    return subprocess.run(command, env={"PATH": PATH} | environment, capture_output=True).returncode == 0


class Postgres:
    """A PostgreSQL: HOST:PORT, and its programs with who may use it."""

    def __init__(self, folder, port, settings):
        self.folder = folder
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self.settings = settings

    def run(self, name, *arguments, **options):
        """Runs one of its clients as its owner."""
        where = ["--host=127.0.0.1", f"--port={self.port}", f"--username={self.settings['POSTGRES_USER']}"]
        environment = {"PATH": PATH, "PGPASSWORD": self.settings["POSTGRES_PASSWORD"]}
        command = [self.folder / name, *where, *arguments]
        return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, **options).stdout


@pytest.fixture(scope="session")
def postgres(place):
    """PostgreSQL, made and started as its image does it."""
    shipped = compose()["services"]["postgres"]
    # Debian keeps its programs off the path, by version.
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name))
    programs = versions[-1] if versions else Path(program("postgres")).parent
    found = Postgres(programs, free_port(), settings(shipped))
    folder = place / "postgres"
    user = own(folder, "postgres")
    secret = folder / "secret"
    secret.write_text(found.settings["POSTGRES_PASSWORD"])
    # What the image's entry point does at the first start.
    initdb = [
        programs / "initdb",
        f"--pgdata={folder / 'data'}",
        f"--username={found.settings['POSTGRES_USER']}",
        f"--pwfile={secret}",
        "--no-sync",
        *found.settings["POSTGRES_INITDB_ARGS"].split(),
    ]
    subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **user)
    command = [programs / "postgres", "-D", folder / "data", "-p", found.port, "-h", "127.0.0.1", "-k", folder, "-F"]
    _, check, *arguments = shipped["healthcheck"]["test"]
    ready = functools.partial(succeeds, [str(programs / check), *arguments, f"--port={found.port}"])
    with service(command, place / "postgres.log", ready, cwd=folder, **user):
        found.run("createdb", found.settings["POSTGRES_DB"])
        yield found


@pytest.fixture(scope="session")
def redis(place):
    """HOST:PORT of Redis, started by compose.yaml's own command."""
    shipped = compose()["services"]["redis"]
    port = free_port()
    *shell, script = shipped["command"]
    assert script.endswith("| exec redis-server -"), script
    command = [*shell, f"{script} --port {port} --bind 127.0.0.1"]
    environment = settings(shipped)
    script = shipped["healthcheck"]["test"][1].replace("redis-cli", f"redis-cli -p {port}")
    ready = functools.partial(succeeds, ["sh", "-c", script], **environment)
    with service(command, place / "redis.log", ready, environment):
        yield f"127.0.0.1:{port}"


class Servers:
    """Replicas of the server."""

    def __init__(self, binary, port, metrics_port, environment):
        self.port = port
        self.metrics_port = metrics_port
        self.environment = environment
        self.processes = {}
        created = subprocess.run(
            [binary, "keys", "create", "--name", "tests", "--rate", "6000"],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        self.key = created.stdout.split()[-1]

    def metrics(self, host):
        with urllib.request.urlopen(f"http://{host}:{self.metrics_port}/metrics", timeout=5) as response:
            return response.read().decode()


@pytest.fixture(scope="session")
def servers(binary, place, postgres, redis):
    """Two servers on one PostgreSQL and one Redis."""
    port, metrics_port = free_port(SERVERS[0]), free_port(SERVERS[0])
    environment = image_environment("cpu") | settings(compose()["services"]["server"])
    for name, value in environment.items():
        value = value.replace("@postgres:5432", f"@{postgres.address}").replace("@redis:6379", f"@{redis}")
        environment[name] = value
    environment["MAOOCR_MODELS"] = os.environ["MAOOCR_MODELS"]
    environment["MAOOCR_DATA"] = str(place / "data")
    # What the address 0.0.0.0 says by itself.
    environment["MAOOCR_AUTH"] = "keys"
    found = Servers(binary, port, metrics_port, environment)
    check = [str(binary), *healthcheck("cpu")[1:]]
    with contextlib.ExitStack() as stack:
        for host in SERVERS:
            own = environment | {
                "MAOOCR_LISTEN": f"{host}:{port}",
                "MAOOCR_METRICS_LISTEN": f"{host}:{metrics_port}",
            }
            ready = functools.partial(succeeds, check, **own)
            server = service([binary, "serve"], place / f"server-{host}.log", ready, own, cwd=place)
            found.processes[host] = stack.enter_context(server)
        yield found


class Names(threading.Thread):
    """A DNS server that knows one name, as Docker's does: all addresses of the service `server`."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                query, client = self.socket.recvfrom(512)
                self.socket.sendto(self.answer(query), client)

    @staticmethod
    def answer(query):
        end = query.index(b"\0", 12) + 5
        known = query[12:end].startswith(b"\x06server\0\0\x01")
        addresses = [socket.inet_aton(host) for host in SERVERS] if known else []
        head = query[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, len(addresses), 0, 0)
        records = [b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + address for address in addresses]
        return head + query[12:end] + b"".join(records)


class Edge:
    """nginx: where it is, and who signed its certificate."""

    def __init__(self, http, https, certificate, log):
        self.http = http
        self.https = https
        self.certificate = certificate
        self.log = log


@pytest.fixture(scope="session")
def nginx(place, servers, grafana):
    """nginx before the servers, with a certificate made on the spot."""
    folder = place / "nginx"
    user = own(folder, "nobody")
    tls = folder / "tls"
    tls.mkdir()
    subprocess.run(
        [program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        + ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        + ["-keyout", tls / "tls.key", "-out", tls / "tls.crt"],
        check=True,
        capture_output=True,
    )
    if user:
        shutil.chown(tls / "tls.key", user["user"])
    http, https, names = free_port(), free_port(), Names()
    environment = settings(compose()["services"]["nginx"]) | {
        "MAOOCR_HTTP_PORT": str(http),
        "MAOOCR_HTTPS_PORT": str(https),
        "MAOOCR_HTTPS_PUBLIC": f":{https}",
        "MAOOCR_TLS": str(tls),
        "MAOOCR_RUN": str(folder),
        "MAOOCR_RESOLVER": f"127.0.0.1:{names.port}",
        "MAOOCR_UPSTREAM": f"server:{servers.port}",
        "MAOOCR_GRAFANA": f"127.0.0.1:{grafana}",
    }
    conf = folder / "nginx.conf"
    conf.write_text(nginx_conf(environment))
    command = [program("nginx"), "-c", conf, "-e", "stderr"]
    tried = subprocess.run([*command, "-t"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **user)
    # Of the form of `listen` that old versions need, new ones say so.
    warned = [line for line in tried.stderr.splitlines() if "[warn]" in line and "http2" not in line]
    assert tried.returncode == 0 and not warned, tried.stderr
    log = place / "nginx.log"
    ready = functools.partial(answers, f"http://127.0.0.1:{http}/nginx-health")
    with service([*command, "-g", "daemon off;"], log, ready, **user):
        yield Edge(http, https, tls / "tls.crt", log)
    names.socket.close()


@pytest.fixture(scope="session")
def grafana():
    """The port of something in Grafana's place: it says which path it was asked for."""

    class Echo(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.path.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


@pytest.fixture(scope="session")
def prometheus(place, servers):
    """The address of Prometheus with the shipped rules. It is told where the servers are instead of asking a DNS
    server, and asks them every second."""
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    port = free_port()
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(DEPLOY / "prometheus" / name) for name in config["rule_files"]]
    by_name = {job["job_name"]: job for job in config["scrape_configs"]}
    [found] = by_name["maoocr"].pop("dns_sd_configs")
    shipped = compose()["services"]["server"]["environment"]["MAOOCR_METRICS_LISTEN"]
    assert (found["names"], found["type"]) == (["server"], "A") and shipped == f"0.0.0.0:{found['port']}"
    targets = [f"{host}:{servers.metrics_port}" for host in SERVERS]
    by_name["maoocr"]["static_configs"] = [{"targets": targets}]
    by_name["prometheus"]["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    folder = place / "prometheus"
    folder.mkdir()
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    flags = [word for word in compose()["services"]["prometheus"]["command"] if "retention" in word]
    command = [program("prometheus"), f"--config.file={folder / 'prometheus.yml'}", *flags]
    command += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    address = f"http://127.0.0.1:{port}"
    with service(command, place / "prometheus.log", functools.partial(answers, f"{address}/-/ready")):
        yield address


@pytest.fixture(scope="session")
def sample():
    """A picture."""
    return (ROOT / "tests/samples/receipt.jpg").read_bytes()
