"""What is shipped, as the tests read it: deploy/ and the Dockerfile."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
# Debian keeps what administrators run off an ordinary user's path.
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin", "/sbin"])

# What an operator would put into deploy/.env.
ENVIRONMENT = {
    "MAOOCR_NAME": "localhost",
    "MAOOCR_TLS_FOLDER": "/etc/maoocr/tls",
    "POSTGRES_PASSWORD": "postgres-secret-in-tests",
    "REDIS_PASSWORD": "redis-secret-in-tests",
    "GRAFANA_PASSWORD": "grafana-secret-in-tests",
    # Where nginx calls from, here.
    "MAOOCR_FRONT_SUBNET": "127.0.0.1/32",
}


def program(name):
    """Where the program is."""
    found = shutil.which(name, path=PATH)
    assert found, f"{name} is not installed; `cargo xtask setup` installs it"
    return found


def interpolate(value, environment):
    """Fills in ${NAME}, ${NAME:-default} and ${NAME:?reason} as Docker Compose does."""
    if isinstance(value, dict):
        return {k: interpolate(v, environment) for k, v in value.items()}
    if isinstance(value, list):
        return [interpolate(v, environment) for v in value]
    if not isinstance(value, str):
        return value

    def fill(found):
        if found[0] == "$$":
            return "$"
        given = environment.get(found["name"])
        if found["how"] == "-":
            return given or found["rest"]
        assert given, f"{found['name']}: {found['rest'] or 'not set'}"
        return given

    return re.sub(r"\$\$|\$\{(?P<name>\w+)(?::(?P<how>[-?])(?P<rest>[^}]*))?\}", fill, value)


def compose(environment=None, name="compose.yaml"):
    """A compose file, filled in."""
    return interpolate(raw_compose(name), ENVIRONMENT | (environment or {}))


def raw_compose(name="compose.yaml"):
    """A compose file as it is."""
    return yaml.safe_load((DEPLOY / name).read_text())


def settings(service):
    """A service's environment; what is left to the operator is unset."""
    return {k: v for k, v in service["environment"].items() if v is not None}


def nginx_conf(environment):
    """The template, filled in as the image's entry point does with NGINX_ENVSUBST_FILTER=^MAOOCR_."""
    text = (DEPLOY / "nginx/nginx.conf.template").read_text()
    return re.sub(r"\$\{(MAOOCR_\w+)\}", lambda found: environment[found[1]], text)


def dashboard():
    """The dashboard."""
    return json.loads((DEPLOY / "grafana/dashboards/maoocr.json").read_text())


def panel_queries():
    """Panel and expression of every query on the dashboard, its variables filled in."""
    queries = []
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"]
            for name, value in {"$instance": ".*", "$route": ".*", "$__rate_interval": "1m"}.items():
                query = query.replace(name, value)
            queries.append((panel["title"], query))
    return queries


def rules():
    """The alert rules."""
    [group] = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"]
    return group["rules"]


def stage(name):
    """A stage of the Dockerfile, without its first line and with its lines joined."""
    text = (ROOT / "Dockerfile").read_text()
    [body] = re.findall(rf"^FROM \S+ AS {name}\n(.*?)(?=^FROM |\Z)", text, re.M | re.S)
    return re.sub(r"\\\n\s*", "", body)


def healthcheck(name):
    """The command of a stage's HEALTHCHECK."""
    [command] = re.findall(r"^HEALTHCHECK .*CMD (\[.*\])$", stage(name), re.M)
    return json.loads(command)


def image_environment(name):
    """What a stage sets."""
    [pairs] = re.findall(r"^ENV (.*)$", stage(name), re.M)
    return dict(pair.split("=", 1) for pair in pairs.split())
