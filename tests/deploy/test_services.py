"""The services together: clients before nginx, two servers behind it, Prometheus beside them."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import warnings

import pytest
import yaml
from websockets.sync.client import connect as open_websocket

from client import ask, connect, context, multipart, recognize
from conftest import SERVERS
from shipped import DEPLOY, ENVIRONMENT, panel_queries, rules

# Panels that stay empty on a CPU.
GPU_ONLY = {"Batch size"}


def test_a_picture_is_read_over_tls(nginx, servers, sample):
    status, headers, answer = recognize(nginx, servers.key, sample)
    assert status == 200 and "RECEIPT" in answer["text"].upper(), answer
    assert headers["strict-transport-security"] and headers["x-request-id"]
    assert "server" in headers and "/" not in headers["server"], "nginx says its version"


def test_http_2_is_spoken_and_old_tls_is_not(nginx):
    offered = context(nginx)
    offered.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", nginx.https)) as plain:
        with offered.wrap_socket(plain, server_hostname="localhost") as secure:
            assert secure.selected_alpn_protocol() == "h2"
    old = context(nginx)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", nginx.https)) as plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain, server_hostname="localhost")


def test_another_name_reaches_nothing(nginx):
    with socket.create_connection(("127.0.0.1", nginx.https)) as plain, pytest.raises(ssl.SSLError):
        context(nginx).wrap_socket(plain, server_hostname="other.example")


def test_plain_http_leads_to_https(nginx):
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.build_opener(Stay).open(f"http://127.0.0.1:{nginx.http}/docs/?a=b", timeout=5)
    assert answer.value.code == 308
    assert answer.value.headers["location"] == f"https://localhost:{nginx.https}/docs/?a=b"


def test_lines_come_over_a_websocket(nginx, servers, sample):
    with open_websocket(
        f"wss://localhost:{nginx.https}/api/ocr/ws",
        ssl=context(nginx),
        origin=f"https://localhost:{nginx.https}",
        additional_headers={"Authorization": f"Bearer {servers.key}"},
        proxy=None,
    ) as socket_:
        # A picture of more than one of nginx's buffers; then nothing is asked of the server for a while.
        socket_.send(sample)
        events = []
        while not events or events[-1]["event"] not in ("done", "error"):
            events.append(json.loads(socket_.recv(timeout=30)))
    kinds = [event["event"] for event in events]
    assert kinds[0] == "detected" and kinds[-1] == "done" and kinds.count("line") > 5, kinds


def test_events_of_a_job_come_one_by_one(nginx, servers, sample):
    # Bytes behind the picture's end make it another one for the result cache.
    pictures = [("images", f"{i}.jpg", sample + bytes([i])) for i in range(6)]
    body, kind = multipart(pictures)
    key = {"Authorization": f"Bearer {servers.key}"}
    status, headers, content = ask(nginx, "POST", "/api/ocr/batch", body, key | {"Content-Type": kind})
    assert status == 202, content
    connection = connect(nginx)
    connection.request("GET", f"{headers['location']}/events", headers=key)
    response = connection.getresponse()
    assert response.status == 200 and response.headers["content-type"] == "text/event-stream"
    came, events = [], []
    while not events or events[-1][0] != "done":
        name = response.readline().decode()
        if name.startswith("event: "):
            data = json.loads(response.readline().decode().removeprefix("data: "))
            events.append((name.removeprefix("event: ").strip(), data))
            came.append(time.monotonic())
    connection.close()
    done = [data["done"] for _, data in events]
    assert done[0] < 6 and done[-1] == 6 and len(events) > 2, events
    # Were they buffered, all had come with the last one.
    assert came[-1] - came[0] > 0.1, came


def test_what_is_too_large_is_a_problem_document(nginx, servers):
    connection = connect(nginx)
    connection.putrequest("POST", "/api/ocr/recognize")
    connection.putheader("Authorization", f"Bearer {servers.key}")
    connection.putheader("Content-Length", str(50 << 20))
    connection.endheaders()
    response = connection.getresponse()
    problem = json.loads(response.read())
    connection.close()
    assert (response.status, problem["code"]) == (413, "too_large"), problem
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["strict-transport-security"]


def test_metrics_are_not_for_clients(nginx, servers):
    status, _, content = ask(nginx, "GET", "/metrics", headers={"Authorization": f"Bearer {servers.key}"})
    assert status == 404 and b"maoocr_" not in content
    assert "maoocr_http_requests_total" in servers.metrics(SERVERS[0])


def test_grafana_is_for_the_operators_network(nginx):
    assert ask(nginx, "GET", "/grafana/d/maoocr?x=1")[::2] == (200, b"/grafana/d/maoocr?x=1")
    assert ask(nginx, "GET", "/grafana/login", source="127.0.0.77")[0] == 403


def test_a_client_is_counted_by_its_own_address(nginx, sample):
    """Whatever it says of itself; and another client isn't counted with it."""
    refused = []
    for i in range(60):
        headers = {"Authorization": "Bearer mao_wrong", "X-Forwarded-For": f"203.0.113.{i}"}
        status, _, _ = ask(nginx, "GET", "/api/models", headers=headers, source="127.0.0.88")
        refused.append(status)
    assert refused[0] == 401 and refused[-1] == 429, refused
    headers = {"Authorization": "Bearer mao_wrong"}
    assert ask(nginx, "GET", "/api/models", headers=headers, source="127.0.0.89")[0] == 401


def test_prometheus_finds_both_servers(prometheus, servers):
    end = time.monotonic() + 20
    up = []
    while time.monotonic() < end and len(up) < 2:
        up = [s for s in query(prometheus, 'up{job="maoocr"} == 1')]
        time.sleep(0.2)
    assert {series["metric"]["instance"].split(":")[0] for series in up} == set(SERVERS)


def query(prometheus, expression):
    parameters = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"{prometheus}/api/v1/query?{parameters}", timeout=10) as response:
        answer = json.load(response)
    assert answer["status"] == "success" and not answer.get("warnings"), answer
    return answer["data"]["result"]


@pytest.fixture(scope="session")
def busy(nginx, servers, prometheus, sample):
    """Prometheus, after it has seen servers at work."""
    key = {"Authorization": f"Bearer {servers.key}"}
    for i in range(3):
        # Every kind of traffic, more than once: a rate needs two numbers.
        for picture in (sample + bytes([100 + i]), sample, sample, b"no picture"):
            recognize(nginx, servers.key, picture)
        ask(nginx, "GET", "/nowhere", headers=key)
        time.sleep(1.2)
    return prometheus


@pytest.mark.parametrize("panel, expression", panel_queries(), ids=lambda value: value.split("(")[0])
def test_a_panel_shows_something(busy, panel, expression):
    end = time.monotonic() + 5
    while not (shown := query(busy, expression)) and panel not in GPU_ONLY and time.monotonic() < end:
        time.sleep(0.5)
    assert bool(shown) == (panel not in GPU_ONLY), expression
    assert all(series["value"][1] != "NaN" for series in shown) or "quantile" in expression, shown


def test_variables_have_values(busy):
    for name in ("instance", "route"):
        with urllib.request.urlopen(f"{busy}/api/v1/label/{name}/values", timeout=10) as response:
            values = json.load(response)["data"]
        assert len(values) >= 2, name


def test_prometheus_evaluates_every_alert(busy):
    with urllib.request.urlopen(f"{busy}/api/v1/rules", timeout=10) as response:
        [group] = json.load(response)["data"]["groups"]
    assert {rule["name"] for rule in group["rules"]} == {rule["alert"] for rule in rules()}
    for rule in group["rules"]:
        assert rule["health"] == "ok" and not rule.get("lastError"), rule
        assert rule["state"] != "firing", rule


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alerts_numbers_are_there(busy, rule):
    """Every metric that an alert looks at is one that servers at work have, under the labels it asks for."""
    for selector in re.findall(r"\b(?:maoocr|process)_\w+(?:\{[^}]*\})?", rule["expr"]):
        # Of errors there are none in these tests.
        selector = re.sub(r"(status|code)!?=~?\"[^\"]*\",? ?", "", selector)
        assert query(busy, selector), selector


def scaling_queries():
    """What the adapter and KEDA ask Prometheus, with the labels that servers have here."""
    adapter = yaml.safe_load((DEPLOY / "kubernetes/adapter.example.yaml").read_text())["rules"]
    for rule in [*adapter["custom"], *adapter["external"]]:
        query = rule["metricsQuery"].replace("<<.Series>>", rule["seriesQuery"].split("{")[0])
        yield query.replace("<<.LabelMatchers>>", 'job="maoocr"')
    scaled = yaml.safe_load((DEPLOY / "kubernetes/components/keda/scaledobject.yaml").read_text())
    for trigger in scaled["spec"]["triggers"]:
        yield trigger["metadata"]["query"].replace('namespace="maoocr"', 'job="maoocr"')


@pytest.mark.parametrize("expression", list(scaling_queries()))
def test_what_servers_are_scaled_by_is_there(busy, expression):
    shown = query(busy, expression)
    # One number for each server, or one for all.
    assert len(shown) == (1 if expression.startswith(("max(", "sum(", "100 ")) else 2), expression
    assert all(float(series["value"][1]) >= 0 for series in shown), shown


def test_nobody_logs_a_secret(busy, place, servers):
    secrets = [servers.key, *(v for k, v in ENVIRONMENT.items() if "PASSWORD" in k)]
    for log in place.glob("*.log"):
        text = log.read_text(errors="replace")
        assert not [s for s in secrets if s in text], log


def test_a_requests_id_is_in_the_log(nginx, servers, sample):
    _, headers, _ = recognize(nginx, servers.key, sample)
    # It is written when the answer is on its way.
    end = time.monotonic() + 5
    found = []
    while not found and time.monotonic() < end:
        lines = [line for line in nginx.log.read_text().splitlines() if line.startswith("{")]
        found = [line for line in map(json.loads, lines) if line["id"] == headers["x-request-id"]]
    [line] = found
    assert (line["path"], line["status"], line["client"]) == ("/api/ocr/recognize", 200, "127.0.0.1")


def test_a_backup_can_be_restored(postgres, servers, binary):
    """By the commands of docs/operate.md, into an empty database and over a full one."""
    saved = postgres.run("pg_dump", "-Fc", "maoocr")
    postgres.run("createdb", "restored")
    address = servers.environment["DATABASE_URL"].removesuffix("maoocr") + "restored"
    for _ in range(2):
        postgres.run("pg_restore", "-d", "restored", "--clean", "--if-exists", input=saved)
        keys = subprocess.run([binary, "keys", "list", "--database-url", address], capture_output=True, text=True)
        assert re.search(r"valid +recognize,jobs +tests$", keys.stdout.strip()), keys


def test_a_server_that_is_gone_is_not_missed(nginx, servers, sample):
    """Last, since it is gone for good."""
    os.kill(servers.processes[SERVERS[0]].pid, signal.SIGKILL)
    servers.processes[SERVERS[0]].wait()
    answered = [recognize(nginx, servers.key, sample + bytes([200 + i]))[0] for i in range(6)]
    assert answered == [200] * 6
    os.kill(servers.processes[SERVERS[1]].pid, signal.SIGKILL)
    servers.processes[SERVERS[1]].wait()
    status, headers, problem = recognize(nginx, servers.key, sample)
    assert (status, problem["code"], headers["retry-after"]) == (503, "unavailable", "5"), problem
    assert headers["content-type"] == "application/problem+json"
