"""`selfopt simulate`."""

from __future__ import annotations

import pytest

from selfopt.cli.simulate import WORLD_NAMES
from selfopt.simulate import CYCLES, WORLDS

from .world import Project

FEW = ("--replications", "3", "--processes", "1")


def test_the_worlds_of_the_command_are_those_that_there_are() -> None:
    """The command names them without loading them."""
    assert (*WORLDS, CYCLES) == WORLD_NAMES


def test_a_table_and_the_same_as_json(project: Project) -> None:
    """Every rule with its figures; the same seed gives the same ones; nothing is written."""
    table = project.ok("simulate", *FEW, "--gain", "10", "--lower-bound", "1").out
    for words in (
        "world 12x4",
        "nothing is better",
        "all are copies",
        "one is 10 points better",
        "plain gates, 7 runs",
        "paired test, 54 runs",
    ):
        assert words in table
    assert "No rule can find 10 points with fewer than" in table
    one, other = (project.ok("simulate", *FEW, "--gain", "7.5", "--json").json() for _ in range(2))
    assert one == other
    assert one["worlds"]["12x4"]["replications"] == 3
    assert "power_7.5" in one["worlds"]["12x4"]
    assert not project.home.exists()


def test_worlds_can_be_changed(project: Project) -> None:
    """Points are shares times a hundred; deterministic ones are tested on held-out prompts."""
    found = project.ok(
        "simulate",
        *FEW,
        "--prompts",
        "30",
        "--candidates",
        "2",
        "--churn",
        "0",
        "--flaky",
        "0",
        "--others",
        "-30",
        "--gain",
        "30",
        "--json",
    ).json()
    assert found["worlds"]["12x4"]["power_30"] == 1.0
    assert "held-out test" in project.ok("simulate", *FEW, "--world", "det150x4", "--prompts", "20").out
    cycles = project.ok("simulate", *FEW, "--world", "cycles", "--candidates", "1")
    assert "histories that promote something worse" in cycles.out


@pytest.mark.parametrize(
    "words",
    [
        ("--alpha", "0.6"),
        ("--alpha", "0"),
        ("--gain", "0"),
        ("--gain", "nan"),
        ("--replications", "0"),
        ("--world", "9x9"),
        ("--flaky", "2"),
        ("--churn", "101"),
    ],
)
def test_figures_out_of_range_are_refused_in_one_line(project: Project, words: tuple[str, str]) -> None:
    """Exit code 2, and what is allowed."""
    result = project.run("simulate", *words)
    assert result.code == 2
    assert len(result.err.strip().splitlines()) == 1


def test_escalation_is_simulated_in_worlds_of_its_own(project: Project) -> None:
    """A table for each claim and one of the shift, and the same as JSON; options of other worlds are refused."""
    table = project.ok("simulate", "escalation", "--replications", "1", "--processes", "1").out
    for words in ("on these tools", "on tools not seen", "after the shift", "1 calibration in each row"):
        assert words in table
    figures = project.ok("simulate", "escalation", "--replications", "1", "--processes", "1", "--json").json()
    assert set(figures["claims"]["these_tools"]) == {"calibrated", "overconfident", "uninformative", "bad_sets"}
    refused = project.run("simulate", "escalation", "--gain", "3", "--alpha", "0.1")
    assert refused.code == 2
    assert "--alpha, --gain" in refused.err


def test_what_cannot_be_simulated_is_refused_with_what_can(project: Project) -> None:
    """A slip of the pen needs no help page."""
    project.run("simulate", "escalatoin").assert_refused(
        2, "got 'escalatoin'", "`selfopt simulate` tries the race", "`selfopt simulate escalation` thresholds of confidence"
    )
