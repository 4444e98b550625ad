"""docs/SPECIFICATION_MAP.md is true: whatever it points to is there, and every name of the specification is in it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

import selfopt.records
from selfopt.cli.main import cli
from selfopt.home import Home
from selfopt.records import Record
from selfopt.settings import Settings
from selfopt.variants import load_variants

ROOT = Path(__file__).resolve().parent.parent
MAP = ROOT / "docs" / "SPECIFICATION_MAP.md"

# Every name in code or with a file's ending in the specification.
NAMED = [
    "--baseline",
    "--cycles",
    "--enable-warmup",
    "--force-model",
    "--report",
    "ARCHITECTURE.md",
    "ARCHITECTURE_V2_SELF_OPTIMIZING.md",
    "CYCLE_2_RESULTS.json",
    "EXECUTE_LOCALLY.md",
    "EXECUTION_SUMMARY.md",
    "EXTENDED_SUITE_DISABLEMENT.md",
    "MEMORY.md",
    "META_LEARNINGS.md",
    "ROUTING_DECISIONS.md",
    "SELF_OPTIMIZING_REPORT.md",
    "WARM_UP_INTEGRATION.md",
    "WARM_UP_VALIDATION_RESULTS.json",
    "benchmark_supervisor.py",
    "config_manager.py",
    "extended_phase_min_accuracy",
    "extended_suite_safety_test.py",
    "generate_routing_rules",
    "harness_feedback.json",
    "harness_feedback_loop.py",
    "lock_manager.py",
    "log_routing_decision",
    "meta_harness_loop.py",
    "meta_loop_history.json",
    "routing_config.json",
    "routing_decisions.jsonl",
    "routing_decisions.log",
    "routing_enforcer.py",
    "routing_log.py",
    "routing_test.py",
    "run_benchmark.py",
    "self_optimizing_policy.py",
    "test_config_manager.py",
    "test_integration_loop.py",
    "test_warmup_invoked_when_config_enabled.py",
    "validate_model_phase_compatibility",
    "warm_up_test.py",
]
COMMANDS = (
    "python3 benchmark_supervisor.py lfm2.5 atomic --enable-warmup",
    "python3 run_benchmark.py lfm2.5-thinking:1.2b extended extended",
    "python3 routing_enforcer.py",
    'python3 meta_harness_loop.py --cycles 1 --baseline "..."',
    "python3 harness_feedback_loop.py",
    "python3 meta_harness_loop.py --report",
    "python3 warm_up_test.py",
    "python3 extended_suite_safety_test.py",
    "python3 routing_test.py",
    "python3 meta_harness_loop.py --cycles 1",
    "git revert <commit_sha>",
)


@dataclass(frozen=True)
class Line:
    """One row of a table."""

    specification: str
    here: str
    kind: str
    differs: str


def read_map() -> list[Line]:
    """All rows of all tables."""
    found = []
    for row in MAP.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in row.strip().strip("|").split("|")] if row.startswith("|") else []
        if len(cells) == 4 and cells[0] != "specification" and not set(cells[0]) <= set("-"):
            found.append(Line(cells[0], cells[1].strip("`"), cells[2], cells[3]))
    return found


def path(line: Line) -> None:
    """A file of the repository."""
    assert (ROOT / line.here).is_file()


def command(line: Line) -> click.Command:
    """A command of selfopt; its name on the path must exist."""
    words = line.here.split()
    assert words[0] == "selfopt"
    found: click.Command = cli
    for word in words[1:]:
        assert isinstance(found, click.Group)
        inner = found.get_command(click.Context(found), word)
        assert inner is not None
        found = inner
    return found


def flag(line: Line) -> None:
    """A flag or an argument of a command."""
    words, _, name = line.here.rpartition(" ")
    parameters = command(Line("", words, "", "")).params
    assert name in [n for p in parameters for n in (p.opts if name.startswith("-") else [p.name])]


def function(line: Line) -> None:
    """Something that a package exports."""
    module, _, name = line.here.rpartition(".")
    assert name in importlib.import_module(module).__all__


def log(line: Line) -> None:
    """A text that a source file writes: what stands in quotes or code, or what the last column says is searched for."""
    searched = re.search(r"searched for as `([^`]+)`", line.differs) or re.search(r"[`\"]([^`\"]+)[`\"]", line.specification)
    assert searched is not None
    assert searched.group(1) in (ROOT / line.here).read_text("utf-8")


def setting(line: Line) -> None:
    """A key of the settings tree."""
    section, key = line.here.split(".")
    table = Settings.model_fields[section].annotation
    assert isinstance(table, type)
    assert issubclass(table, Record)
    assert key in table.model_fields


def home(line: Line) -> None:
    """A file of the home folder, under the specification's name."""
    assert getattr(Home(Path("/home")), line.here).name == line.specification.strip("`")


def field(line: Line) -> None:
    """A field of a record."""
    record, name = line.here.split(".")
    assert name in getattr(selfopt.records, record).model_fields


def test(line: Line) -> None:
    """A test function."""
    file, _, name = line.here.partition("::")
    assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE)


def check(line: Line) -> None:
    """A check that `make verify` prints."""
    assert line.here in (ROOT / "bench" / "verify.py").read_text("utf-8")


def variant(line: Line) -> None:
    """A variant of the catalogue."""
    assert line.here in load_variants()


KINDS: Mapping[str, Callable[[Line], object]] = {
    f.__name__: f for f in (path, command, flag, function, log, setting, home, field, test, check, variant)
}
test.__test__ = False  # type: ignore[attr-defined]
LINES = read_map()


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.kind} {line.here} ({line.specification[:40]})")
def test_a_line_of_the_map_resolves(line: Line) -> None:
    """What the second column names is there, as the third says."""
    assert line.kind in KINDS, f"kind {line.kind!r} is none of {', '.join(KINDS)}"
    KINDS[line.kind](line)


@pytest.mark.parametrize("name", NAMED)
def test_every_name_of_the_specification_is_in_the_map(name: str) -> None:
    """Nothing that the specification names is passed over in silence."""
    assert any(name in line.specification for line in LINES)


@pytest.mark.parametrize("typed", COMMANDS)
def test_every_command_of_the_specification_is_in_the_map(typed: str) -> None:
    """As it is typed there."""
    assert any(line.specification == f"`{typed}`" for line in LINES)


def test_every_path_in_the_text_exists() -> None:
    """Paths named in the last column and between the tables as well."""
    found = re.findall(r"`((?:bench|docs|src|tests)/[\w./-]+\.(?:py|md|json|toml|yaml))`", MAP.read_text("utf-8"))
    assert found
    assert [p for p in found if not (ROOT / p).is_file()] == []
