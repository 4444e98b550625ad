"""Trials on a real Ray cluster: whatever is lost in between, each is committed once."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from selfopt.errors import ClusterError, SelfoptError, SettingsError
from selfopt.ledger import open_ledger
from selfopt.measure.options import MeasureOptions
from selfopt.measure.progress import Progress
from selfopt.measure.supervisor import SuperviseResult, supervise
from selfopt.records import Ledger, Trial, TrialAbandoned, TrialStart
from selfopt.wiring.app import App
from selfopt.wiring.ray_reach import require_reachable
from tests.services.servers import ScriptedServer

# A cluster starts several interpreters, on machines that are busy.
pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]


@dataclass(slots=True)
class Cluster:
    """A cluster of one node with a label, as others start it."""

    address: str
    folder: Path
    process: subprocess.Popen[bytes]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that ends with the tests."""
    folder = Path("/tmp") / f"selfopt-ray-{os.getpid()}"  # Ray's sockets allow no long path
    port, client = free_ports(2)
    command = [
        sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--head", "--block",
        "--node-ip-address", "127.0.0.1", "--port", str(port), "--ray-client-server-port", str(client), "--num-cpus", "4",
        "--resources", '{"models": 1}', "--include-dashboard", "false", "--object-store-memory", str(100 * 2**20),
        "--temp-dir", str(folder), "--disable-usage-stats",
    ]  # fmt: skip
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    os.environ.update(token)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SELFOPT_")}
    environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"  # with it, a child that Ray's proxy forks may wait for ever for a lock
    with (tmp_path_factory.mktemp("ray") / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log, start_new_session=True)
        for _ in range(1200):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", client)) == 0:
                    break
            assert process.poll() is None, Path(log.name).read_text("utf-8")
            time.sleep(0.1)
        yield Cluster(f"ray://127.0.0.1:{client}", folder, process)
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for name in token:
            del os.environ[name]
        shutil.rmtree(folder, ignore_errors=True)


def flags_of(server: ScriptedServer, executor: str, **endpoint: Any) -> dict[str, Any]:
    """Settings with one endpoint, whose server is on the nodes with the label."""
    entry = {"kind": "openai_compatible", "base_url": f"{server.base_url}/v1", "slots": 4, "ray_resources": {"models": 0.01}}
    return {"executor": executor, "ray": {"workers": 2, "cpus": 0.5}, "endpoints": {"s": {**entry, **endpoint}}}


def opened(folder: Path, flags: dict[str, Any], **environ: str) -> App:
    """An app with a home of its own."""
    return App.open(folder, flags, {"HOME": str(folder), "PATH": os.environ["PATH"], **environ}, folder)


def files_of(folder: Path, *suffixes: str) -> bytes:
    """What a cluster has written, of all files or of those with one of these suffixes."""
    paths = [path for path in folder.rglob("*") if path.is_file() and (not suffixes or path.suffix in suffixes)]
    return b"".join(path.read_bytes() for path in paths)


def still_there(pids: list[int]) -> list[int]:
    """Which of these processes don't end within a minute."""
    found = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    _gone, alive = psutil.wait_procs(found, timeout=60)
    return [one.pid for one in alive]


async def measured(app: App, runs: int, watch: Any = None) -> SuperviseResult:
    """Measure the atomic suite so often."""
    app.require_ready(["s/m"])
    spec = app.spec("s/m", "atomic", "native_api", {"split": "all"})
    return await supervise(spec, context=app.measure_context(watch), options=MeasureOptions(n_runs=runs))


def assert_each_once(ledger: Ledger, trials: int) -> None:
    """So many trials, none twice, and none that is started and forgotten."""
    made = Counter((trial.run_id, trial.prompt_id) for trial in ledger.read(Trial))
    assert (len(made), set(made.values())) == (trials, {1})
    ended = {trial.trial_id for trial in ledger.read(Trial)} | {gone.trial_id for gone in ledger.read(TrialAbandoned)}
    assert {start.trial_id for start in ledger.read(TrialStart)} == ended


async def test_a_cluster_measures_what_one_process_measures(tmp_path: Path, cluster: Cluster, scripted: ScriptedServer) -> None:
    """Outcomes are the same, wherever the trials were made; and the prompts are in none of Ray's logs."""
    found = []
    for name, executor in (("here", "local"), ("far", cluster.address)):
        async with opened(tmp_path / name, flags_of(scripted, executor)) as app:
            result = await measured(app, 2)
            assert result.evaluation is not None
            found.append(result.evaluation.metrics)
            assert_each_once(app.ledger, result.trials)
            prompt = app.suite("atomic").prompts[0].messages[-1].content
    assert found[0].n == found[1].n
    assert found[0].accuracy == found[1].accuracy
    logs = files_of(cluster.folder, ".log", ".out", ".err")
    assert logs
    assert str(prompt).encode() not in logs


async def test_what_lost_workers_were_making_is_made_again_and_counts_once(
    tmp_path: Path, cluster: Cluster, scripted: ScriptedServer
) -> None:
    """Two workers are killed in mid-run."""
    killed: list[int] = []

    def watch(event: Progress) -> None:
        pids = set(app.executors.worker_pids) - set(killed)
        if event.done >= 30 * (len(killed) + 1) and len(killed) < 2 and pids:
            killed.append(min(pids))
            os.kill(killed[-1], signal.SIGKILL)

    async with opened(tmp_path, flags_of(scripted, cluster.address)) as app:
        result = await measured(app, 20, watch)
        assert len(killed) == 2
        assert result.status == "complete"
        assert not list(app.ledger.read(TrialAbandoned))
        assert_each_once(app.ledger, result.trials)


def test_a_coordinator_that_died_is_continued_by_the_same_command(
    tmp_path: Path, cluster: Cluster, scripted: ScriptedServer
) -> None:
    """What it had committed is not asked again."""
    settings = tmp_path / "selfopt.toml"
    settings.write_text(
        f'executor = "{cluster.address}"\n[ray]\nworkers = 2\ncpus = 0.5\n[loop]\nn_runs = 8\ndeterminism_sample = 1\n'
        f'[endpoints.s]\nkind = "openai_compatible"\nbase_url = "{scripted.base_url}/v1"\nslots = 2\nray_resources = {{models = 0.01}}\n',
        "utf-8",
    )
    environ = {**os.environ, "SELFOPT_CONFIG": str(settings), "SELFOPT_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}
    command = [sys.executable, "-P", "-m", "selfopt", "supervise", "s/m", "atomic", "--split", "all", "--runs", "8"]
    first = subprocess.Popen(command, env=environ, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    path = tmp_path / "home" / "ledger.sqlite3"
    kept = 0
    while first.poll() is None and kept < 5:
        if path.is_file():
            ledger = open_ledger(path)
            kept = len(list(ledger.read(Trial)))
            ledger.close()
    first.kill()
    _unused, said = first.communicate()
    assert kept, said
    second = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert second.returncode == 0, second.stderr
    ledger = open_ledger(path)
    made = Counter((trial.run_index, trial.prompt_id, trial.request_id) for trial in ledger.read(Trial))
    assert len(made) >= kept
    ended = {trial.trial_id for trial in ledger.read(Trial)} | {gone.trial_id for gone in ledger.read(TrialAbandoned)}
    assert {start.trial_id for start in ledger.read(TrialStart)} == ended
    ledger.close()


async def test_nodes_without_what_an_endpoint_needs_are_one_clear_line(
    tmp_path: Path, cluster: Cluster, scripted: ScriptedServer
) -> None:
    """The message names the resource."""
    async with opened(tmp_path, flags_of(scripted, cluster.address, ray_resources={"gpu_server": 1})) as app:
        with pytest.raises(ClusterError, match="gpu_server 1"):
            await measured(app, 1)


async def test_a_key_goes_to_a_cluster_only_if_the_user_says_so(
    tmp_path: Path, cluster: Cluster, scripted: ScriptedServer
) -> None:
    """Without leave the line names the variable; with it the trials are made, and Ray's files don't hold the key."""
    key = "sk-a-key-that-is-nowhere-else"
    flags = flags_of(scripted, cluster.address, api_key_env="SCRIPTED_KEY")
    async with opened(tmp_path / "a", flags, SCRIPTED_KEY=key) as app:
        with pytest.raises(SettingsError, match="SCRIPTED_KEY"):
            await measured(app, 1)
    async with opened(tmp_path / "b", {**flags, "ray": {**flags["ray"], "send_keys": True}}, SCRIPTED_KEY=key) as app:
        assert (await measured(app, 1)).status == "complete"
    assert key.encode() not in files_of(cluster.folder)


async def test_a_cluster_is_started_and_ended_on_this_machine(tmp_path: Path, scripted: ScriptedServer) -> None:
    """The executor `ray` needs nobody else, and leaves no process behind."""
    async with opened(tmp_path, flags_of(scripted, "ray", ray_resources={})) as app:
        result = await measured(app, 1)
        assert result.status == "complete"
        pids = app.executors.worker_pids
        assert pids
    assert not still_there(pids)


async def test_nobody_at_the_address_is_one_clear_line(tmp_path: Path, scripted: ScriptedServer) -> None:
    """It says so at once, and how Ray is started there."""
    (port,) = free_ports(1)
    flags = flags_of(scripted, f"ray://127.0.0.1:{port}")
    async with opened(tmp_path, {**flags, "ray": {"start_timeout_s": 5}}) as app:
        with pytest.raises(SelfoptError) as refused:
            await measured(app, 1)
    assert f"127.0.0.1:{port} (Connection refused)" in str(refused.value)
    assert f"--ray-client-server-port={port}" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("token", "said"), [(None, "this user has none"), ("ab" * 32, "does not take the token in RAY_AUTH_TOKEN")]
)
async def test_a_token_that_is_missing_or_wrong_is_named_at_once(
    token: str | None, said: str, tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray itself waits for half a minute, and then speaks of a timeout."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    if token is not None:
        monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    with pytest.raises(ClusterError, match=said) as refused:
        await require_reachable(cluster.address)
    assert "auth_token" in str(refused.value)


async def test_the_token_in_a_file_is_taken(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `ray start` leaves it on the head, copied to this machine."""
    (tmp_path / "token").write_text(os.environ["RAY_AUTH_TOKEN"] + "\n", "utf-8")
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    await require_reachable(cluster.address)
    (tmp_path / "token").write_text("another\n", "utf-8")
    with pytest.raises(ClusterError, match="auth_token"):
        await require_reachable(cluster.address)


async def test_ray_of_another_version_is_one_clear_line(
    tmp_path: Path, cluster: Cluster, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the version that is here. The check is Ray's own, and its client is of no use in this process afterwards: last."""
    import ray

    monkeypatch.setattr(ray, "__version__", "2.1.0")
    async with opened(tmp_path, flags_of(scripted, cluster.address)) as app:
        with pytest.raises(ClusterError) as refused:
            await measured(app, 1)
    assert "Here is Ray 2.1.0" in str(refused.value)
    assert "\n" not in str(refused.value)
