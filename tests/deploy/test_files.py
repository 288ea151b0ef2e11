"""What can be said of the files without running anything they describe."""

import json
import re
import subprocess

import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from shipped import (
    DEPLOY,
    ENVIRONMENT,
    PATH,
    ROOT,
    compose,
    dashboard,
    healthcheck,
    image_environment,
    interpolate,
    panel_queries,
    program,
    raw_compose,
    rules,
)

KUBERNETES = DEPLOY / "kubernetes"
# Every service of every compose file that describes whole ones.
SERVICES = [
    (file, name)
    for file in ("compose.yaml", "compose.alerts.yaml", "compose.earlier.yaml")
    for name in raw_compose(file)["services"]
]


def run(*command, ok=True, **options):
    result = subprocess.run(
        [program(command[0]), *map(str, command[1:])],
        capture_output=True,
        text=True,
        env={"PATH": PATH, "HOME": "/nonexistent"},
        **options,
    )
    said = result.stdout + result.stderr
    assert (result.returncode == 0) == ok, said
    return said


def test_the_images_are_linted():
    run("hadolint", ROOT / "Dockerfile")


def test_the_linter_of_images_finds_something(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM debian\nRUN cd /tmp && apt-get install curl\n")
    assert "DL3006" in run("hadolint", tmp_path / "Dockerfile", ok=False)


def test_yaml_is_written_in_one_style():
    style = {
        "extends": "default",
        "rules": {
            "braces": {"min-spaces-inside": 0, "max-spaces-inside": 1},
            "comments": {"min-spaces-from-content": 1},
            "document-start": "disable",
            "line-length": {"max": 120, "allow-non-breakable-words": True, "allow-non-breakable-inline-mappings": True},
            "truthy": {"check-keys": False},
        },
    }
    run("yamllint", "--strict", "-d", json.dumps(style), DEPLOY)


def test_compose_files_have_the_form():
    files = sorted(DEPLOY.glob("compose*.yaml"))
    assert len(files) == 6, files
    run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", *files)


def test_the_form_of_compose_files_is_really_checked(tmp_path):
    wrong = raw_compose()
    wrong["services"]["server"]["read_onyl"] = True
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump(wrong))
    said = run(
        "check-jsonschema", "--builtin-schema", "vendor.compose-spec", tmp_path / "compose.yaml", ok=False
    )
    assert "read_onyl" in said


@pytest.mark.parametrize("file, name", SERVICES)
def test_a_service_is_locked_down(file, name):
    service = compose({"MAOOCR_PICTURES": "/pictures"}, file)["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "devices"} & service.keys()
    assert {"cpus", "memory", "pids"} <= service["deploy"]["resources"]["limits"].keys()
    assert ":" in service["image"] and not service["image"].endswith(":latest")
    # The server's image has its check with it; what fetches the models ends.
    assert "healthcheck" in service or name in ("server", "earlier", "models")
    for needed, how in service.get("depends_on", {}).items():
        ends = needed == "models"
        assert how["condition"] == ("service_completed_successfully" if ends else "service_healthy")


def test_only_nginx_is_reached_from_outside():
    file = compose()
    assert [n for n, s in file["services"].items() if "ports" in s] == ["nginx"]
    open_networks = {n for n, network in file["networks"].items() if not network.get("internal")}
    outside = {n for n, s in file["services"].items() if open_networks & set(s["networks"])}
    assert outside == {"nginx", "models"}
    assert not set(file["services"]["nginx"]["networks"]) & set(file["services"]["postgres"]["networks"])


def test_earlier_clients_are_served_on_this_machine_only():
    file = compose({"MAOOCR_PICTURES": "/scans"}, "compose.earlier.yaml")
    assert [s["ports"] for s in file["services"].values() if "ports" in s] == [["127.0.0.1:8000:8000"]]
    [pictures] = [v for v in file["services"]["earlier"]["volumes"] if isinstance(v, dict)]
    assert pictures["source"] == "/scans" and pictures["read_only"]
    # It stands alone, and beside the others: what both have is the same.
    whole = raw_compose()
    assert file["services"]["models"] == compose()["services"]["models"]
    assert file["name"] == whole["name"]
    with pytest.raises(AssertionError, match="MAOOCR_PICTURES"):
        compose(name="compose.earlier.yaml")


def test_alertmanager_is_where_prometheus_looks():
    [service] = raw_compose("compose.alerts.yaml")["services"].items()
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    [found] = config["alerting"]["alertmanagers"][0]["dns_sd_configs"]
    assert (found["names"], found["port"]) == ([service[0]], 9093)
    assert set(service[1]["networks"]) & set(compose()["services"]["prometheus"]["networks"])


def test_alerts_reach_whom_they_should(tmp_path):
    example = DEPLOY / "alertmanager/alertmanager.example.yml"
    text = example.read_text()
    mounts = dict(v.split(":")[:2] for v in raw_compose("compose.alerts.yaml")["services"]["alertmanager"]["volumes"])
    assert "/etc/alertmanager/secrets/" in text and mounts["./alertmanager"] == "/etc/alertmanager"
    run("amtool", "check-config", example)
    told = {"critical": ["chat", "pager"], "warning": ["chat"]}
    for rule in rules():
        labels = [f"alertname={rule['alert']}", f"severity={rule['labels']['severity']}"]
        said = run("amtool", "config", "routes", "test", f"--config.file={example}", *labels)
        assert sorted(said.splitlines()[0].split(",")) == told[rule["labels"]["severity"]], (rule, said)
    # What is inhibited, and by what, exists.
    for name in re.findall(r"Maoocr[A-Z]\w+", text):
        assert name in {rule["alert"] for rule in rules()}, name
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(text.replace("receiver: pager", "receiver: nobody"))
    assert "nobody" in run("amtool", "check-config", wrong, ok=False)


def test_secrets_come_from_the_environment():
    for name, service in raw_compose()["services"].items():
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|AUTH$|_URL$", key) and key != "GF_SERVER_ROOT_URL" and value:
                assert re.search(r"\$\{\w+:\?", value), f"{name}: {key}"
    example = dict(
        line.split("=", 1)
        for line in (DEPLOY / ".env.example").read_text().splitlines()
        if line and not line.startswith("#")
    )
    for key, value in example.items():
        assert not value or key in ("MAOOCR_REPLICAS", "MAOOCR_CPUS", "MAOOCR_MEMORY"), key
    # What must be given is in the example.
    needed = set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text()))
    assert needed == {k for k, v in example.items() if not v} == ENVIRONMENT.keys() - {"MAOOCR_FRONT_SUBNET"}


def test_a_missing_secret_stops_compose():
    with pytest.raises(AssertionError, match="POSTGRES_PASSWORD"):
        interpolate(raw_compose(), ENVIRONMENT | {"POSTGRES_PASSWORD": ""})


def test_the_servers_options_exist(options):
    """Every variable that is handed to the server is one that it reads."""
    used = set(compose()["services"]["server"]["environment"])
    used |= set(raw_compose("compose.earlier.yaml")["services"]["earlier"]["environment"])
    used |= set(raw_compose("compose.webhooks.yaml")["services"]["server"]["environment"])
    used |= set(raw_compose("compose.vlm.yaml")["services"]["server"]["environment"])
    config = yaml.safe_load((KUBERNETES / "base/configmap.yaml").read_text())
    used |= set(config["data"]) | set(image_environment("cpu")) | set(image_environment("gpu"))
    unit = (DEPLOY / "systemd/maoocr.service").read_text() + (DEPLOY / "systemd/gpu.conf").read_text()
    used |= set(re.findall(r"\b(MAOOCR_\w+)=", unit))
    elsewhere = {"RUST_LOG", "MAOOCR_MODELS", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"}
    assert used - elsewhere <= options.keys()


def test_the_operators_table_has_every_option_with_its_default(options):
    text = (ROOT / "docs/operate.md").read_text()
    table = dict(re.findall(r"^\| `([A-Z_]+)` \| ([^|]*?) \|", text, re.M))
    assert table.keys() == options.keys()
    for name, default in options.items():
        if default:
            assert table[name].split()[0].strip("`") == default, name


def test_the_operators_tables_have_every_metric_and_alert():
    text = (ROOT / "docs/operate.md").read_text()
    source = (ROOT / "crates/server/src/metrics.rs").read_text()
    for name in re.findall(r'"(maoocr_\w+)"', source):
        assert f"| `{name}` |" in text, name
    for rule in rules():
        assert f"| `{rule['alert']}` |" in text, rule["alert"]


def test_what_alerts_and_panels_count_exists():
    source = (ROOT / "crates/server/src/metrics.rs").read_text()
    counted = set(re.findall(r'"(maoocr_\w+)"', source))
    sources = "".join(f.read_text() for f in (ROOT / "crates/server/src").rglob("*.rs"))
    expressions = [rule["expr"] for rule in rules()] + [query for _, query in panel_queries()]
    for expression in expressions:
        for name in re.findall(r"\bmaoocr_\w+", expression):
            assert re.sub("_(bucket|sum|count)$", "", name) in counted, name
        for codes in re.findall(r'code=~?"([^"]*)"', expression):
            for code in codes.split("|"):
                assert f'"{code}"' in sources, code


@pytest.mark.parametrize("folder", ["base", "overlays/gpu"])
def test_kubernetes_takes_it(folder, tmp_path):
    (tmp_path / "all.yaml").write_text(run("kubectl", "kustomize", KUBERNETES / folder))
    said = run("kubernetes-validate", "--strict", tmp_path / "all.yaml")
    assert said.count(" passed ") == 8, said


def test_the_validator_of_kubernetes_finds_something(tmp_path):
    text = (KUBERNETES / "base/deployment.yaml").read_text()
    (tmp_path / "wrong.yaml").write_text(text.replace("readinessProbe:", "readynessProbe:"))
    assert "readynessProbe" in run("kubernetes-validate", "--strict", tmp_path / "wrong.yaml", ok=False)


@pytest.mark.parametrize(
    "file", ["bulk-job.example.yaml", "ingress.example.yaml", "base/secret.example.yaml"]
)
def test_examples_for_kubernetes_are_valid(file):
    run("kubernetes-validate", "--strict", KUBERNETES / file)


def test_components_change_what_they_say(tmp_path):
    kustomization = {
        "resources": ["kubernetes/base"],
        "components": ["kubernetes/components/models-in-image", "kubernetes/components/servicemonitor"],
    }
    (tmp_path / "kubernetes").symlink_to(KUBERNETES)
    run("cp", "-rL", tmp_path / "kubernetes", tmp_path / "copy")
    (tmp_path / "kubernetes").unlink()
    (tmp_path / "copy").rename(tmp_path / "kubernetes")
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    built = list(yaml.safe_load_all(run("kubectl", "kustomize", tmp_path)))
    kinds = [one["kind"] for one in built]
    assert "PersistentVolumeClaim" not in kinds and "ServiceMonitor" in kinds
    [pod] = [one["spec"]["template"]["spec"] for one in built if one["kind"] == "Deployment"]
    assert "initContainers" not in pod
    assert [v["name"] for v in pod["volumes"]] == ["scratch"]
    [policy] = [one["spec"] for one in built if one["kind"] == "NetworkPolicy"]
    assert 443 not in [port["port"] for rule in policy["egress"] for port in rule["ports"]]


def with_component(name, folder):
    """The base with a component, as Kubernetes would get it; checked."""
    run("cp", "-r", KUBERNETES, folder / "kubernetes")
    kustomization = {"resources": ["kubernetes/base"], "components": [f"kubernetes/components/{name}"]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    (folder / "all.yaml").write_text(run("kubectl", "kustomize", folder))
    run("kubernetes-validate", "--strict", folder / "all.yaml")
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all((folder / "all.yaml").read_text())}


def test_a_load_balancer_shows_the_interface_and_nothing_else(tmp_path):
    built = with_component("load-balancer", tmp_path)
    service = built["Service", "maoocr-public"]["spec"]
    assert service["type"] == "LoadBalancer" and [p["name"] for p in service["ports"]] == ["http"]
    pod = built["Deployment", "maoocr"]["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= pod.items()
    # Whoever comes from outside comes from no namespace.
    open_ports = [rule["ports"] for rule in built["NetworkPolicy", "maoocr"]["spec"]["ingress"] if "from" not in rule]
    assert open_ports == [[{"protocol": "TCP", "port": "http"}]]
    # Nobody's X-Forwarded-For is believed when nobody stands in front.
    assert "MAOOCR_TRUSTED_PROXIES" not in built["ConfigMap", "maoocr"]["data"]


def test_servers_reach_the_vision_model_and_know_its_name(tmp_path, options):
    built = with_component("vllm", tmp_path)
    settings = built["ConfigMap", "maoocr"]["data"]
    assert settings.keys() <= options.keys()
    pod = built["Deployment", "vllm"]["spec"]["template"]
    labels = pod["metadata"]["labels"]
    service = built["Service", "vllm"]["spec"]
    assert service["selector"].items() <= labels.items()
    assert settings["MAOOCR_VLM_URL"] == f"http://vllm:{service['ports'][0]['port']}/v1"
    assert f"--model={settings['MAOOCR_VLM_MODEL']}" in pod["spec"]["containers"][0]["args"]
    # Out of the servers, and into the model's; no server answers for the other.
    [out] = [r for r in built["NetworkPolicy", "maoocr"]["spec"]["egress"] if r["ports"][0]["port"] == 8000]
    assert out["to"][0]["podSelector"]["matchLabels"].items() <= labels.items()
    servers = built["Deployment", "maoocr"]["spec"]["template"]["metadata"]["labels"]
    [come] = built["NetworkPolicy", "vllm"]["spec"]["ingress"]
    assert come["from"][0]["podSelector"]["matchLabels"].items() <= servers.items()
    assert not built["Service", "maoocr"]["spec"]["selector"].items() <= labels.items()
    # The same beside Compose.
    both = raw_compose("compose.vlm.yaml")["services"]
    name = both["server"]["environment"]["MAOOCR_VLM_MODEL"]
    assert settings["MAOOCR_VLM_MODEL"] in name and f"--model={name}" in both["vllm"]["command"]
    assert both["vllm"]["image"] == pod["spec"]["containers"][0]["image"]
    assert set(both["server"]["networks"]) <= set(both["vllm"]["networks"])


def test_there_is_one_autoscaler(tmp_path):
    for name, kinds in {"keda": ["ScaledObject"], "autoscale-by-cpu": ["HorizontalPodAutoscaler"]}.items():
        (tmp_path / name).mkdir()
        built = with_component(name, tmp_path / name)
        scalers = [kind for kind, _ in built if kind in ("HorizontalPodAutoscaler", "ScaledObject")]
        assert scalers == kinds
    metrics = built["HorizontalPodAutoscaler", "maoocr"]["spec"]["metrics"]
    assert [metric["resource"]["name"] for metric in metrics] == ["cpu"]


def test_the_adapter_knows_what_the_autoscaler_asks_for():
    asked = {
        (metric["type"], metric[metric["type"].lower()]["metric"]["name"])
        for metric in yaml.safe_load((KUBERNETES / "base/autoscaler.yaml").read_text())["spec"]["metrics"]
    }
    rules = yaml.safe_load((KUBERNETES / "adapter.example.yaml").read_text())["rules"]
    named = {
        ({"custom": "Pods", "external": "External"}[kind], rule.get("name", {}).get("as", rule["seriesQuery"].split("{")[0]))
        for kind, entries in rules.items()
        for rule in entries
    }
    assert asked == named


def test_pods_reach_their_names_and_their_collector():
    policy = yaml.safe_load((KUBERNETES / "base/network.yaml").read_text())["spec"]
    ports = [(to, port["port"]) for rule in policy["egress"] for to in rule.get("to", [{}]) for port in rule["ports"]]
    # The local cache of names listens on a link-local address, which no selector of pods has.
    assert ({"ipBlock": {"cidr": "169.254.20.10/32"}}, 53) in ports
    assert 4318 in [port for _, port in ports]
    # And not what else is there, such as a cloud's metadata.
    [outside] = [to["ipBlock"]["except"] for to, port in ports if port == 443]
    assert "169.254.0.0/16" in outside

def test_a_pod_may_do_little():
    [pod] = [
        one["spec"]["template"]["spec"]
        for one in yaml.safe_load_all(run("kubectl", "kustomize", KUBERNETES / "base"))
        if one["kind"] == "Deployment"
    ]
    assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
    for container in pod["containers"] + pod["initContainers"]:
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
        assert security["capabilities"]["drop"] == ["ALL"]
        assert "memory" in container["resources"]["limits"]
    [server] = pod["containers"]
    assert server["readinessProbe"]["httpGet"]["path"] == server["startupProbe"]["httpGet"]["path"] == "/ready"
    assert server["livenessProbe"]["httpGet"]["path"] == "/health"


def test_the_bulk_job_asks_the_command_for_all_parts(binary, tmp_path):
    job = yaml.safe_load((KUBERNETES / "bulk-job.example.yaml").read_text())["spec"]
    [container] = job["template"]["spec"]["containers"]
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"] and security["capabilities"]["drop"] == ["ALL"]
    assert job["template"]["spec"]["restartPolicy"] == "Never" and job["completionMode"] == "Indexed"
    # With a part's own number, as the kubelet puts it in; nothing to read is soon read.
    (tmp_path / "scans").mkdir()
    for index in (0, job["completions"] - 1):
        arguments = [a.replace("$(SHARD)", str(index)) for a in container["args"]]
        arguments = [a.replace("/scans", f"{tmp_path}/scans").replace("/text/", f"{tmp_path}/") for a in arguments]
        subprocess.run([binary, *arguments], check=True, capture_output=True)
        assert (tmp_path / f"part-{index}.jsonl").exists()
    with pytest.raises(subprocess.CalledProcessError):
        wrong = [a.replace("$(SHARD)", str(job["completions"])) for a in container["args"]]
        subprocess.run([binary, *wrong], check=True, capture_output=True)


def test_the_script_is_linted(tmp_path):
    run("shellcheck", DEPLOY / "deploy.sh")
    (tmp_path / "wrong.sh").write_text("#!/bin/sh\nrm $1\n")
    assert "SC2086" in run("shellcheck", tmp_path / "wrong.sh", ok=False)


def test_the_unit_is_valid_and_hardened(binary, tmp_path):
    unit = tmp_path / "maoocr.service"
    text = (DEPLOY / "systemd/maoocr.service").read_text()
    unit.write_text(text.replace("/usr/bin/maoocr", str(binary)))
    # What it doesn't understand it says, and goes on.
    assert run("systemd-analyze", "verify", "--man=no", unit) == ""
    # In tenths of the 10 that a service has which may do everything.
    run("systemd-analyze", "security", "--offline=yes", "--threshold=15", unit)
    drop_in = tmp_path / "maoocr.service.d/gpu.conf"
    drop_in.parent.mkdir()
    drop_in.write_text((DEPLOY / "systemd/gpu.conf").read_text())
    assert run("systemd-analyze", "verify", "--man=no", unit) == ""
    drop_in.write_text("[Service]\nRestrictNamespace=yes\n")
    assert "RestrictNamespace" in run("systemd-analyze", "verify", "--man=no", unit)


def test_the_dashboard_is_one_that_grafana_knows():
    """Read into Grafana's own types and written again, nothing is lost."""
    plugins.register_default_plugins()
    written = JSONEncoder().encode(Dashboard.from_json(dashboard()))
    assert lost(dashboard(), json.loads(written)) == []


def lost(before, after, place=""):
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            found
            for key, value in before.items()
            for found in (lost(value, after[key], f"{place}/{key}") if key in after else [f"{place}/{key}"])
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [found for i, pair in enumerate(zip(before, after)) for found in lost(*pair, f"{place}/{i}")]
    return [] if before == after else [f"{place}: {before} became {after}"]


def test_panels_lie_beside_each_other():
    taken = {}
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} covers {taken.get((x, y))}"
                taken[x, y] = panel["title"]
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(set(ids)) == len(ids)


def test_grafana_is_given_what_it_looks_for():
    grafana = compose()["services"]["grafana"]
    [source] = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert source["url"].removeprefix("$") in grafana["environment"]
    [variable] = [v for v in dashboard()["templating"]["list"] if v["name"] == "datasource"]
    assert variable["current"]["value"] == source["uid"]
    [provider] = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/maoocr.yaml").read_text())["providers"]
    mounts = dict(volume.split(":")[:2] for volume in grafana["volumes"])
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]


def test_prometheus_accepts_the_rules_and_they_do_what_they_should():
    folder = DEPLOY / "prometheus"
    run("promtool", "check", "config", folder / "prometheus.yml")
    run("promtool", "check", "rules", "--lint=all", "--lint-fatal", folder / "alerts.yml")
    run("promtool", "test", "rules", folder / "alerts.test.yml", cwd=folder)


def test_every_alert_is_tested_to_fire_and_not_to():
    tests = yaml.safe_load((DEPLOY / "prometheus/alerts.test.yml").read_text())["tests"]
    checks = [check for test in tests for check in test["alert_rule_test"]]
    for rule in rules():
        mine = [bool(check.get("exp_alerts")) for check in checks if check["alertname"] == rule["alert"]]
        assert True in mine and False in mine, rule["alert"]


def test_both_images_check_their_health_alike():
    assert healthcheck("cpu") == healthcheck("gpu") == ["/usr/bin/maoocr", "health"]
