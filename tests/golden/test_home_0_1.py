"""A home that 0.1 wrote is read with the meaning that 0.1 read in it."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selfopt.cli.main import run

from .forms import as_0_1

HERE = Path(__file__).parent
EXPECTED: dict[str, Any] = json.loads(gzip.decompress((HERE / "home-0.1.expected.json.gz").read_bytes()))
VERIFIED = "audit verify"


@pytest.fixture(scope="module")
def old_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder with the home, its script, suites and settings, unpacked once: every command below only reads."""
    root = tmp_path_factory.mktemp("golden")
    with tarfile.open(HERE / "home-0.1.tar.gz") as archive:
        archive.extractall(root, filter="data")
    user = root / "user.toml"
    text = user.read_text("utf-8")
    for name in ("script.yaml", "atomic.yaml", "extended.yaml"):
        text = text.replace(f'"{name}"', f'"{root / name}"')
    user.write_text(text, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELFOPT_HOME", str(root / "home"))
        patch.setenv("SELFOPT_CONFIG", str(user))
        for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "SELFOPT_CACHE"):
            patch.setenv(name, str(root / "user"))
        patch.chdir(root)
        yield root
    shutil.rmtree(root, ignore_errors=True)


def said(*arguments: str) -> Any:
    """What a command prints as JSON."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = run([*arguments, "--json"])
    assert code == 0, (arguments, out.getvalue())
    return json.loads(out.getvalue())


def holds(now: Any, then: Any) -> bool:
    """Whether everything that was said then is said now: objects may have more fields, and nothing else may differ."""
    if isinstance(then, dict) and isinstance(now, dict):
        return all(key in now and holds(now[key], value) for key, value in then.items())
    if isinstance(then, list) and isinstance(now, list):
        return len(now) == len(then) and all(map(holds, now, then))
    return bool(now == then)


COMMANDS = [name for name in EXPECTED if name not in (VERIFIED, "counts")]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_0_1_said_of_its_home_is_said_of_it_still(old_home: Path, command: str) -> None:
    """Rules, their history, the trail, and the way from each rule and decision down to the replies."""
    then = EXPECTED[command]
    now = as_0_1(json.loads(json.dumps(said(*command.split())).replace(str(old_home), "PROJECT")))
    if command.startswith("audit show"):  # what came since, such as the seals of its ledger, stands after it
        now = now[: len(then)]
    assert holds(now, then), json.dumps(now, indent=1)


def test_the_trail_and_the_requests_of_0_1_verify(old_home: Path) -> None:
    """What 0.1 called the head of the trail is an anchor that is met."""
    then = EXPECTED[VERIFIED]
    now = said("audit", "verify", "--anchor", f"selfopt-anchor-1:{then['n']}:{then['head_hash']}")
    assert now["ok"]
    assert now["requests"]["n"] == then["requests"]["n"]
    assert now["ledger"]["records"] == sum(EXPECTED["counts"].values())


def test_a_forged_anchor_is_not_met(old_home: Path) -> None:
    """So the test above shows something."""
    with contextlib.redirect_stdout(io.StringIO()):
        assert run(["audit", "verify", "--anchor", f"selfopt-anchor-1:{EXPECTED[VERIFIED]['n']}:{'0' * 64}"]) == 100


def test_the_first_command_of_all_sees_the_whole_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger is not called empty before another command has listed it, and a rule whose endpoint is in no settings has its past."""
    with tarfile.open(HERE / "home-0.1.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "none.toml").write_text("")
    monkeypatch.setenv("SELFOPT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SELFOPT_CONFIG", str(tmp_path / "none.toml"))
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "SELFOPT_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "user"))
    monkeypatch.chdir(tmp_path)
    assert said("audit", "verify")["ledger"]["records"] == sum(EXPECTED["counts"].values())
    assert said("audit", "trace", "scripted/mute", "extended")["changes"]
