"""The manifests are valid, and their processes run as they say: on a root that cannot be written, with their own arguments."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import kubernetes_validate
import pytest
import yaml

from selfopt import __version__
from selfopt.ledger.postgres import open_postgres_ledger
from selfopt.ledger.postgres_schema import migrate
from selfopt.records import Cycle
from tests.services.postgres_server import Server, select_nothing
from tests.services.servers import ScriptedServer

pytestmark = pytest.mark.services

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
KUBERNETES = "1.36"


def documents() -> list[dict[str, Any]]:
    """What `kubectl apply` gets, the Secret's template included."""
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))["resources"]
    assert {*listed, "kustomization.yaml", "secret.yaml"} == {path.name for path in FOLDER.iterdir()}
    return [one for name in [*listed, "secret.yaml"] for one in yaml.safe_load_all((FOLDER / name).read_text("utf-8"))]


def found(kind: str, name: str) -> dict[str, Any]:
    """One document."""
    return next(one for one in documents() if (one["kind"], one["metadata"]["name"]) == (kind, name))


def pods() -> dict[str, dict[str, Any]]:
    """The pods that are started, by component."""
    gateway = found("Deployment", "selfopt-gateway")["spec"]["template"]["spec"]
    return {
        "gateway": gateway,
        "loop": found("CronJob", "selfopt-loop")["spec"]["jobTemplate"]["spec"]["template"]["spec"],
    }


@pytest.mark.parametrize("document", documents(), ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_each_manifest_is_valid(document: dict[str, Any]) -> None:
    """By the schema of Kubernetes, without fields that it does not know."""
    kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_the_validator_refuses_what_is_wrong() -> None:
    """A field that is written wrong is found."""
    wrong = found("Deployment", "selfopt-gateway")
    wrong["spec"]["replica"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)


@pytest.mark.parametrize("component", ["gateway", "loop"])
def test_pods_have_no_rights_that_they_do_not_need(component: str) -> None:
    """They are not root, cannot write their root, hold no token of the cluster, and say what they use."""
    pod = pods()[component]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert container["resources"]["limits"]["memory"]
        assert container["image"] == f"selfopt:{__version__}"


def test_names_that_manifests_use_are_there() -> None:
    """Volumes, configuration, secret, ports and labels."""
    for pod in pods().values():
        for volume in pod["volumes"]:
            if "persistentVolumeClaim" in volume:
                found("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
            if "configMap" in volume:
                found("ConfigMap", volume["configMap"]["name"])
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
            assert [source["secretRef"]["name"] for source in container["envFrom"]] == ["selfopt"]
    template = found("Deployment", "selfopt-gateway")["spec"]["template"]["metadata"]["labels"]
    for policy in (one for one in documents() if one["kind"] == "NetworkPolicy"):
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= template.items()
    assert found("Service", "selfopt-gateway")["spec"]["selector"] == template
    keys = found("Secret", "selfopt")["stringData"]
    named = re.findall(r'api_key_env = "(\w+)"', found("ConfigMap", "selfopt")["data"]["selfopt.toml"])
    assert set(named) <= keys.keys()


class Machine:
    """A folder in which a container's volumes are. Its processes run as the pod's user, with the rest of the machine read-only.

    secret: what the Secret holds.
    """

    def __init__(self, folder: Path, server: ScriptedServer, secret: dict[str, str]) -> None:
        self.folder = folder
        self.secret = secret
        self.port = free_port()
        text = found("ConfigMap", "selfopt")["data"]["selfopt.toml"]
        for name in ("config", "home", "tmp", "bin"):
            (folder / name).mkdir()
        mine = text.replace("http://vllm.models.svc:8000/v1", f"{server.base_url}/v1").replace("vllm/qwen", "vllm/m")
        (folder / "config" / "selfopt.toml").write_text(mine, "utf-8")
        program = folder / "bin" / "selfopt"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m selfopt "$@"\n', "utf-8")
        program.chmod(0o755)
        folder.chmod(0o755)
        user = pods()["loop"]["securityContext"]
        if os.geteuid() == 0:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, user["runAsUser"], user["fsGroup"])

    def start(self, pod: dict[str, Any], container: dict[str, Any]) -> subprocess.Popen[str]:
        """Start a container's process."""
        places = {mount["mountPath"]: self.folder / mount["name"] for mount in container["volumeMounts"]}
        places = {path: place for path, place in places.items() if place.exists()}

        def here(value: str) -> str:
            for path, place in places.items():
                value = value.replace(path, str(place)) if value.startswith(path) else value
            return value

        environ = {one["name"]: here(one["value"]) for one in container["env"]}
        assert self.secret.keys() == found("Secret", "selfopt")["stringData"].keys()
        environ |= {**self.secret, "TMPDIR": str(self.folder / "tmp")}
        environ |= {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "SELFOPT_GATEWAY__PORT": str(self.port)}
        environ["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")
        command = [*container.get("command", ["selfopt"]), *container.get("args", [])]
        return subprocess.Popen(
            self.confined(pod["securityContext"], command),
            env=environ,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def confined(self, user: dict[str, int], command: list[str]) -> list[str]:
        """The command as the pod's user, without rights, on a root that cannot be written, where this user may arrange that."""
        if os.geteuid() != 0:
            return command
        own = str(self.folder)
        steps = ["mount --make-rprivate /", f'mount --bind "{own}" "{own}"', *reachable(), "mount -o remount,ro,bind /"]
        ids = f"--reuid={user['runAsUser']} --regid={user['runAsGroup']} --clear-groups"
        steps.append(f'exec setpriv {ids} --no-new-privs --bounding-set=-all --inh-caps=-all "$@"')
        return ["unshare", "--mount", "sh", "-c", " && ".join(steps), "sh", *command]


def reachable() -> list[str]:
    """Commands after which others reach the program in this mount namespace, also below a folder that is closed to them."""
    needed = [Path(path).resolve() for path in dict.fromkeys((sys.base_prefix, sys.prefix, str(ROOT)))]
    steps: list[str] = []
    for number, path in enumerate(needed):
        closed = next((one for one in reversed((path, *path.parents)) if not one.stat().st_mode & 0o001), None)
        if closed is not None:
            kept = f"/mnt/kept{number}"
            before = f'mount -t tmpfs -o mode=755 tmpfs /mnt && mkdir "{kept}" && mount --bind "{path}" "{kept}"'
            steps += [
                before,
                f'mount -t tmpfs -o mode=755 tmpfs "{closed}"',
                f'mkdir -p "{path}" && mount --bind "{kept}" "{path}"',
            ]
    return steps


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def secret(postgres: Server) -> dict[str, str]:
    """What somebody fills in: a database with a ledger, its user and the password of that."""
    url = postgres.ledger()
    database = url.rpartition("/")[2]
    postgres.execute(database, "DROP ROLE IF EXISTS keyed", "CREATE ROLE keyed LOGIN PASSWORD 'in-the-secret'")
    migrate(url, ["keyed"])
    return {"SELFOPT_LEDGER": postgres.url(database, "keyed"), "PGPASSWORD": "in-the-secret", "VLLM_API_KEY": "key-of-the-secret"}


@pytest.fixture
def machine(secret: dict[str, str], scripted: ScriptedServer) -> Iterator[Machine]:
    """A machine for one pod, in a folder that its user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="selfopt-pod-"))
    yield Machine(folder, scripted, secret)
    shutil.rmtree(folder, ignore_errors=True)


def answer(url: str, key: str | None = None, body: dict[str, Any] | None = None, host: str | None = None) -> tuple[int, str]:
    """Status and body of an answer."""
    headers = {"Content-Type": "application/json"}
    headers |= {"Authorization": f"Bearer {key}"} if key else {}
    headers |= {"Host": host} if host else {}
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def gateway(machine: Machine) -> Iterator[tuple[Machine, subprocess.Popen[str]]]:
    """The gateway's pod: its first container has ended, its second one serves."""
    pod = pods()["gateway"]
    (first,) = pod["initContainers"]
    for _ in range(2):  # a pod that starts again has its key already
        prepared = machine.start(pod, first)
        said, _unused = prepared.communicate(timeout=120)
        assert prepared.returncode == 0, said
        assert "sk-" not in said, said
    (container,) = pod["containers"]
    process = machine.start(pod, container)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("gateway at "), line + process.stdout.read()
    yield machine, process
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_the_gateways_pod_serves(gateway: tuple[Machine, subprocess.Popen[str]]) -> None:
    """It is alive and ready without a key, answers a client with one by the Service's name, and ends when it is told."""
    machine, process = gateway
    (container,) = pods()["gateway"]["containers"]
    base = f"http://127.0.0.1:{machine.port}"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert answer(base + container[probe]["httpGet"]["path"])[0] == 200
    chat = {"model": "vllm/m", "messages": [{"role": "user", "content": "hi"}]}
    assert answer(f"{base}/v1/chat/completions", body=chat)[0] == 401
    pod = pods()["gateway"]
    adding = machine.start(pod, {**container, "args": ["keys", "add", "laptop", "--json"]})
    said, _unused = adding.communicate(timeout=120)
    key = json.loads(said)["key"]
    until = time.monotonic() + 60
    status, body = 401, ""
    while status == 401 and time.monotonic() < until:  # a new key is known within a second
        status, body = answer(f"{base}/v1/chat/completions", key, chat, "selfopt-gateway.selfopt.svc:8484")
    assert (status, "No tool" in body) == (200, True), body
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 130


def test_the_loops_pod_runs_a_cycle(machine: Machine) -> None:
    """It ends with 0, and its reports are in its home."""
    pod = pods()["loop"]
    (container,) = pod["containers"]
    process = machine.start(pod, container)
    said, _unused = process.communicate(timeout=400)
    assert process.returncode == 0, said
    home = machine.folder / "home" / "home"
    assert (home / "reports").is_dir()
    assert not (home / "ledger.sqlite3").exists()
    ledger = open_postgres_ledger(machine.secret["SELFOPT_LEDGER"].replace("keyed@", "owner@"))
    assert [cycle.number for cycle in ledger.read(Cycle)] == [1]
    ledger.close()


def test_both_pods_share_the_rules_of_the_database(
    gateway: tuple[Machine, subprocess.Popen[str]], scripted: ScriptedServer
) -> None:
    """What the loop's pod puts in force is in force in the gateway's, which cannot write outside its volumes."""
    machine, _ = gateway
    folder = Path(tempfile.mkdtemp(prefix="selfopt-pod-"))
    other = Machine(folder, scripted, machine.secret)
    pod = pods()["loop"]
    (container,) = pod["containers"]
    rule = ["routes", "set", "vllm/other", "atomic", "--deny", "--fallback", "vllm/m"]
    process = other.start(pod, {**container, "args": rule})
    said, _unused = process.communicate(timeout=120)
    assert process.returncode == 0, said
    until = time.monotonic() + 60
    config = machine.folder / "home" / "home" / "routing_config.json"
    while time.monotonic() < until and (not config.exists() or "vllm/other" not in config.read_text("utf-8")):
        select_nothing()
    assert "vllm/other" in config.read_text("utf-8")
    probe = other.start(
        pod, {**container, "command": ["sh", "-c", "id -u; touch /etc/written /usr/written; grep NoNewPrivs /proc/self/status"]}
    )
    said, _unused = probe.communicate(timeout=60)
    if os.geteuid() == 0:
        assert said.split()[0] == "10001"
        assert said.count("Read-only file system") == 2, said
    shutil.rmtree(folder, ignore_errors=True)
