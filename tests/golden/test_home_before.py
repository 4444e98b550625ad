"""A home that the code before schema 2 of the rules wrote is read with the meaning that it had then."""

from __future__ import annotations

import gzip
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .forms import as_0_1
from .meaning import answer, continued, holds, ledger_content, questions, report_content, said

HERE = Path(__file__).parent
EXPECTED: dict[str, Any] = json.loads(gzip.decompress((HERE / "home-before.expected.json.gz").read_bytes()))
COMMANDS: list[str] = list(EXPECTED["commands"])
VERSIONS: list[str] = sorted(EXPECTED["versions"], key=int)


# What "1 runs" and "1 of 7 prompts pass" became, and what said so: an id is the hash of the content with its sentence.
NEW_WORDS = {
    "14 trials, 1 run)": "14 trials, 1 runs)",
    "rec-792e29ed552cb192e65991f1": "rec-331786185987547e6ca85145",
    "1 of 7 prompts passes and fails": "1 of 7 prompts pass and fail",
    "finding-0c87d52ed2d79a7d029cbd90": "finding-bfebf4dfcdf77ff658a80f23",
    "rec-a64934ea5c38f414092686ef": "rec-22730499185c6968d1ccd360",
}


def as_named_before(text: str) -> str:
    """The text in the words of before."""
    for new, old in NEW_WORDS.items():
        text = text.replace(new, old)
    return text


def unpack(root: Path, patch: pytest.MonkeyPatch) -> Path:
    """The home in a folder of its own, with the settings that name its script and suites there, and the environment for it."""
    with tarfile.open(HERE / "home-before.tar.xz") as archive:
        archive.extractall(root, filter="data")
    user = root / "user.toml"
    user.write_text(user.read_text("utf-8").replace('"world/', f'"{root}/world/'), "utf-8")
    patch.setenv("SELFOPT_HOME", str(root / "world" / "home"))
    patch.setenv("SELFOPT_CONFIG", str(user))
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "SELFOPT_CACHE"):
        patch.setenv(name, str(root / "user"))
    patch.chdir(root)
    return root / "world" / "home"


@pytest.fixture(scope="module")
def old_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Unpacked once: every command that is asked there only reads."""
    root = tmp_path_factory.mktemp("before")
    with pytest.MonkeyPatch.context() as patch:
        yield unpack(root, patch)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home to write in."""
    return unpack(tmp_path, monkeypatch)


def assert_holds(now: Any, then: Any) -> None:
    """The same meaning; else where it first differs."""
    known = as_0_1(json.loads(as_named_before(json.dumps(now))))
    assert holds(known, then), _difference(known, then)


def _difference(now: Any, then: Any, where: str = "") -> str:
    if isinstance(then, dict) and isinstance(now, dict):
        for key, value in then.items():
            if key not in now:
                return f"{where}.{key} is missing: {value!r}"
            if not holds({key: now[key]}, {key: value}):
                return _difference(now[key], value, f"{where}.{key}")
    if isinstance(then, list) and isinstance(now, list) and len(now) == len(then):
        for number, pair in enumerate(zip(now, then, strict=True)):
            if not holds(*pair):
                return _difference(*pair, f"{where}[{number}]")
    return f"{where}: {json.dumps(now)[:2000]} instead of {json.dumps(then)[:2000]}"


def _without_proposals(plan: dict[str, Any]) -> dict[str, Any]:
    """A plan without what the proposers of today would try, and what that costs."""
    targets = [{**target, "candidates": len(target["candidates"])} for target in plan["targets"]]
    return {"targets": targets, **{name: plan[name] for name in ("rule_changes", "continues", "abandons")}}


def test_the_same_questions_can_be_asked(old_home: Path) -> None:
    """No rule, decision or trial is missing, and none came to it."""
    assert [" ".join(arguments) for arguments in questions(old_home)] == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_what_was_said_of_the_home_is_said_of_it_still(old_home: Path, command: str) -> None:
    """Rules and their history, the trail, findings, recommendations, decisions with every figure, and the way down to the replies."""
    now = answer(next(a for a in questions(old_home) if " ".join(a) == command), old_home.parent.parent)
    then = EXPECTED["commands"][command]
    if command.startswith("audit show"):  # what came since stands after it
        now = now[: len(then)]
    if command.startswith("loop --dry-run"):
        now, then = _without_proposals(now), _without_proposals(then)
    assert_holds(now, then)


@pytest.mark.parametrize("kind", sorted(EXPECTED["ledger"]))
def test_every_record_of_the_ledger_is_read_as_it_was(old_home: Path, kind: str) -> None:
    """Findings of each kind, ends of races with each reason, remedies that were withdrawn, decisions on each sort of evidence."""
    assert_holds(ledger_content(old_home / "ledger.sqlite3")[kind], EXPECTED["ledger"][kind])


def test_the_home_verifies(old_home: Path) -> None:
    """The trail with its anchor, the ledger, the rules in force."""
    then = EXPECTED["verified"]
    now = said("audit", "verify", "--anchor", f"selfopt-anchor-1:{then['n']}:{then['head_hash']}")
    assert now["ok"]
    assert now["ledger"]["records"] >= then["ledger"]["records"]
    checks = {check["name"]: check["status"] for check in said("doctor")}
    assert {name: checks.get(name) for name in EXPECTED["doctor"]} == EXPECTED["doctor"]


def test_the_reports_say_the_same_numbers(copy: Path) -> None:
    """Results of cycles and history whole; of the texts for people every number and id in its order."""
    now = report_content(copy)
    for name, then in EXPECTED["reports"].items():
        assert_holds(now[name], then)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_rollback_puts_the_meaning_of_an_old_version_in_force(copy: Path, version: str) -> None:
    """Each rule does and says what it did and said, and the next gateway reads it so."""
    assert_holds(said("routes", "rollback", version), EXPECTED["versions"][version])
    assert_holds(said("routes", "show"), EXPECTED["versions"][version])
    assert said("audit", "verify")["ok"]


def test_an_interrupted_cycle_goes_on_from_its_blocks(copy: Path) -> None:
    """The race comes to the evidence and the decision that it came to before."""
    assert_holds(continued(copy), EXPECTED["continued"])
