"""What is in deploy/ can be read by those it is for, and names only what there is."""

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from digest.cli import _NOUNS
from digest.settings import Settings, load_settings
from digest.settings.load import _from_environment

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
MANIFESTS = list(yaml.safe_load_all((DEPLOY / "kubernetes/digest.yaml").read_text()))
UNITS = sorted((DEPLOY / "systemd").iterdir())
BIN = Path(sys.executable).parent
OURS = {name: one for name, one in COMPOSE["services"].items() if one["image"] == "digest"}


def tool(name: str) -> str:
    found = shutil.which(name, path=f"{BIN}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"needs {name}: pip install -e '.[dev]'")
    return found


def pods() -> list[dict[str, Any]]:
    specs = [one["spec"] for one in MANIFESTS if one["kind"] in ("Deployment", "CronJob")]
    templates = [spec.get("template") or spec["jobTemplate"]["spec"]["template"] for spec in specs]
    return [template["spec"] for template in templates]


def check_command(words: list[str]) -> None:
    """A noun of ours, with options that it has."""
    noun, *rest = words
    command = typer.main.get_command(import_module(f"digest.cli.{noun.replace('-', '_')}").app)
    known = {name for one in command.params for name in one.opts}
    assert {word for word in rest if word.startswith("--")} <= known


def check_variables(given: dict[str, str], folder: Path) -> None:
    """All are settings; values of files are made up."""
    values = {}
    for name, value in given.items():
        if name.endswith("_FILE"):
            file = folder / name
            file.write_text("postgresql://a@b/c" if "DATABASE" in name else "a secret")
            values[name] = str(file)
        else:
            values[name] = re.sub(r"\$\{(\w+)[^}]*\}", r"\1", str(value))
    # Raises for a variable that is no setting.
    dict(_from_environment(values))


@pytest.mark.parametrize("file", sorted(path.name for path in (DEPLOY / "examples").iterdir()))
def test_the_example_for_each_size_is_read_by_the_settings(file: str) -> None:
    secrets = {
        "few.toml": {"DIGEST_SMTP_PASSWORD": "x", "DIGEST_BOUNCES_IMAP_PASSWORD": "x"},
        "cluster.toml": {"DIGEST_DATABASE": "postgresql://a@b/c", "DIGEST_SECRET_KEY": "x"},
    }
    settings = load_settings(DEPLOY / "examples" / file, secrets.get(file, {}))
    assert settings.smtp.host and settings.mail.postal_address and settings.sources  # noqa: PT018


def test_compose_fits_its_schema() -> None:
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]
    subprocess.run([*command, DEPLOY / "compose.yaml"], check=True, capture_output=True)


def test_compose_runs_commands_with_settings_that_there_are(tmp_path: Path) -> None:
    commands = {name: one["command"] for name, one in OURS.items()}
    assert commands == {"web": ["serve"], "worker": ["worker"], "backup": ["backup", "/backups"]}
    for command in commands.values():
        if command[0] in _NOUNS:
            check_command(command)
    check_variables(OURS["web"]["environment"], tmp_path)
    for one in COMPOSE["services"].values():
        assert set(one.get("depends_on", {})) <= set(COMPOSE["services"])
        assert one["restart"] in ("no", "unless-stopped")
        for other, how in one.get("depends_on", {}).items():
            waited_for = COMPOSE["services"][other]
            has_check = "healthcheck" in waited_for or waited_for["image"] == "digest"
            assert how == {"condition": "service_healthy"}
            assert has_check
    named = {
        mount.split(":")[0]
        for one in COMPOSE["services"].values()
        for mount in one.get("volumes", [])
    }
    assert {name for name in named if not name.startswith(".")} == set(COMPOSE["volumes"])
    for name in named:
        if name.startswith("./") and "backups" not in name:
            assert (DEPLOY / name).is_file()


def test_the_proxy_sends_on_to_the_port_that_is_answered() -> None:
    caddyfile = (DEPLOY / "Caddyfile").read_text()
    assert "reverse_proxy web:8000" in caddyfile
    port = Settings().web.port
    assert f"EXPOSE {port}" in (DEPLOY / "Dockerfile").read_text()


@pytest.mark.slow
def test_the_manifests_fit_the_schema_of_kubernetes() -> None:
    command = [tool("kubernetes-validate"), "--strict", DEPLOY / "kubernetes/digest.yaml"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert (done.stdout + done.stderr).count("passed for resource") == len(MANIFESTS)


def test_every_pod_runs_a_command_of_ours_as_nobody(tmp_path: Path) -> None:
    assert len(pods()) == 3
    for pod in pods():
        (container,) = pod["containers"]
        if container["args"][0] in _NOUNS:
            check_command(container["args"])
        check_variables({one["name"]: one["value"] for one in container["env"]}, tmp_path)
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_the_service_and_the_budget_find_the_pods() -> None:
    by_kind = {one["kind"]: one for one in MANIFESTS}
    labels = MANIFESTS[0]["spec"]["template"]["metadata"]["labels"]
    assert by_kind["Service"]["spec"]["selector"] == labels
    assert by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    backend = by_kind["Ingress"]["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend["name"] == by_kind["Service"]["metadata"]["name"]


@pytest.mark.slow
def test_the_dockerfile_has_nothing_that_hadolint_finds() -> None:
    done = subprocess.run(
        [tool("hadolint"), DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_what_the_dockerfile_copies_is_there_and_is_let_into_the_build() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copied = {
        name
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for name in line.split()[1:-1]
    }
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"}
    assert {name.split("/")[0] for name in copied} == let_in
    assert all((ROOT / name).exists() for name in copied)
    assert next(line for line in reversed(lines) if line.startswith("USER")) == "USER 10001"


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """The units with the `digest` of this environment, which verify wants to find."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    for unit in UNITS:
        text = unit.read_text().replace("/opt/digest/bin/digest", str(BIN / "digest"))
        (tmp_path / unit.name).write_text(text)
    return [str(tmp_path / unit.name) for unit in UNITS]


def test_systemd_has_nothing_to_say_of_the_units(units: list[str]) -> None:
    verify = ["systemd-analyze", "verify", "--man=no", *units]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    # It ends with 0 though it does not know a key, and tells of units of the system besides.
    ours = [line for line in done.stderr.splitlines() if "digest" in line]
    assert (done.returncode, ours) == (0, [])


def test_the_units_are_shut(units: list[str]) -> None:
    for unit in units:
        if unit.endswith(".service"):
            look = ["systemd-analyze", "security", "--offline=yes", "--threshold=15", unit]
            subprocess.run(look, check=True, capture_output=True)


@pytest.mark.parametrize("unit", [unit.name for unit in UNITS if unit.suffix == ".service"])
def test_no_unit_is_killed_for_a_call_that_its_libraries_can_do_without(unit: str) -> None:
    assert "\nSystemCallErrorNumber=EPERM\n" in (DEPLOY / "systemd" / unit).read_text()


def test_a_lab_may_write_to_where_its_settings_say() -> None:
    unit = (DEPLOY / "systemd" / "digest.service").read_text()
    places = ["/var/lib/digest", *re.findall(r"^ReadWritePaths=-?(\S+)", unit, re.MULTILINE)]
    lab = load_settings(DEPLOY / "examples" / "lab.toml", {})
    database = Path(lab.database.removeprefix("sqlite:///"))
    for path in (database, lab.mail.maildir, lab.bounces.maildir):
        assert path is not None
        assert any(path.is_relative_to(place) for place in places), path


@pytest.mark.parametrize("unit", [unit.name for unit in UNITS if unit.suffix == ".service"])
def test_every_unit_runs_a_command_of_ours(unit: str) -> None:
    text = (DEPLOY / "systemd" / unit).read_text()
    (command,) = re.findall(
        r"^ExecStart=/opt/digest/bin/digest --config (\S+) (.+)$", text, re.MULTILINE
    )
    words = command[1].split()
    if words[0] in _NOUNS:
        check_command(words)
    else:
        assert words == ["worker"]


def test_no_file_names_a_registry() -> None:
    for file in [*DEPLOY.rglob("*"), ROOT / ".dockerignore"]:
        if file.is_file():
            images = re.findall(r"(?:image:|FROM) +(\S+)", file.read_text())
            assert not [image for image in images if "." in image.split("/")[0].split(":")[0]]


def metrics_named() -> set[str]:
    """Every metric that the dashboard and the alerts ask for."""
    dashboard = json.loads((DEPLOY / "monitoring/dashboard.json").read_text())
    alerts = yaml.safe_load((DEPLOY / "monitoring/alerts.yaml").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked += [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    return {name for expr in asked for name in re.findall(r"\b(?:digest|process)_\w+", expr)}


def test_the_dashboard_and_the_alerts_ask_for_metrics_that_there_are(
    tmp_path: Path, sqlite_url: str
) -> None:
    from starlette.testclient import TestClient

    from digest.web import create_web
    from tests.engine.world import installed
    from tests.store import full

    with installed(tmp_path, sqlite_url) as world:
        with world.app.sessions() as session:
            full.fill(session)
        web = create_web(world.app, now=lambda: full.NOON + timedelta(hours=1))
        client = TestClient(web, client=("127.0.0.1", 50000))
        client.get("/healthz")
        answer = client.get("/metrics")
    exported = set(re.findall(r"^(\w+?)(?:\{|\s)", answer.text, re.MULTILINE))
    assert metrics_named() <= exported


def test_every_alert_says_what_to_do_with_commands_that_there_are() -> None:
    alerts = yaml.safe_load((DEPLOY / "monitoring/alerts.yaml").read_text())
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        told = rule["annotations"]["description"]
        assert rule["labels"]["severity"] in ("page", "ticket")
        for noun in re.findall(r"\bdigest ([a-z-]+)", told):
            assert noun in _NOUNS
