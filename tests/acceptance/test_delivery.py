"""A measurement is killed at every commit: the same command goes on, asks nothing twice, and prints the result in the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from selfopt.ledger import open_ledger
from selfopt.records import Delivery, Evaluation, Run, Trial
from tests.cli.world import Project
from tests.forker import Forker, forker

NEVER = "after nothing"
Called = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def own_process() -> Iterator[Forker]:
    """One that has imported the commands, for all tests."""
    with forker(
        "tests.acceptance.dying", "tests.loaded", "selfopt.cli.supervise", "selfopt.cli.loop", "selfopt.verbs.looping"
    ) as opened:
        yield opened


@pytest.fixture
def called(project: Project, own_process: Forker) -> Called:
    """(exit code, what was printed) of a command in a process of its own. die: before or after the n-th append, or one of a record of
    that type."""

    def call(die: str, *arguments: str) -> tuple[int, str]:
        return own_process.call("tests.acceptance.dying:dying", die, *arguments, cwd=project.root, environ=project.environ())

    return call


def asked(project: Project) -> Counter[tuple[str | None, str, int, str]]:
    """How often each prompt of each pass has a trial."""
    ledger = open_ledger(project.home / "ledger.sqlite3")
    runs = {run.run_id: run for run in ledger.read(Run)}
    found: Counter[tuple[str | None, str, int, str]] = Counter(
        (runs[t.run_id].group_id, runs[t.run_id].purpose, t.run_index, t.prompt_id) for t in ledger.read(Trial)
    )
    ledger.close()
    return found


SUPERVISE = ("supervise", "good", "extended", "--runs", "2", "--json")
VALIDATE = ("supervise", "good", "extended", "--validate-warm-up", "--runs", "1", "--json")
LOOP = ("loop", "--baseline", "good extended native_api", "--cycles", "1", "--json")


def test_killed_again_and_again_it_goes_on_and_asks_nothing_twice(project: Project, called: Called) -> None:
    """Each call dies after its fourth commit, until there are no four left to make. A call after that measures anew."""
    code, calls, printed = -9, 0, ""
    while code == -9:
        calls += 1
        assert calls < 40
        code, printed = called("after 4", *SUPERVISE)
    assert (code, calls > 3) == (0, True)
    assert json.loads(printed)["evaluation"]["metrics"]["accuracy"] == 1.0
    before = asked(project)
    assert set(before.values()) == {1}
    assert len(before) == 6
    assert called(NEVER, *SUPERVISE)[0] == 0
    assert len(asked(project)) == 12, "a call after one whose result was delivered is another question"


@pytest.mark.parametrize("command", [SUPERVISE, VALIDATE], ids=["supervise", "validation"])
@pytest.mark.parametrize("die", ["before Evaluation", "after Evaluation", "after Conclusion", "before Delivery"])
def test_killed_before_its_result_is_delivered_it_prints_it_and_asks_nothing_again(
    project: Project, called: Called, command: tuple[str, ...], die: str
) -> None:
    """From the last trial on: what is missing is made, what is there is used, and the result is the same."""
    assert called(die, *command)[0] == -9
    done = asked(project)
    code, printed = called(NEVER, *command)
    assert code == 0
    body = json.loads(printed)
    accuracy = body["evaluation"]["metrics"]["accuracy"] if command is SUPERVISE else body["validation"]["after"]
    assert accuracy == 1.0
    assert asked(project) == done
    assert set(done.values()) == {1}
    ledger = open_ledger(project.home / "ledger.sqlite3")
    assert len(list(ledger.read(Evaluation))) == (1 if command is SUPERVISE else 2)
    assert len(list(ledger.read(Delivery))) == 1
    ledger.close()


def test_another_request_does_not_take_over_what_was_not_delivered(project: Project, called: Called) -> None:
    """Another number of runs, --fresh, and a call after the delivery are other questions."""
    for other in ((*SUPERVISE[:4], "3", "--json"), (*SUPERVISE, "--fresh")):
        assert called("before Delivery", *SUPERVISE)[0] == -9
        assert project.ok(*other).json()["resumed"] == 0
    assert project.ok(*SUPERVISE).json()["trials"] == 6


def test_a_loop_that_was_killed_before_it_was_told_is_told_by_the_next_call(project: Project, called: Called) -> None:
    """All cycles are through, the end of the loop is not kept: the same call shows them and measures nothing."""
    code, printed = called("before LoopEnd", *LOOP)
    assert (code, json.loads(printed)[0]["number"]) == (-9, 1)
    done = asked(project)
    assert [cycle["number"] for cycle in project.ok(*LOOP).json()] == [1]
    assert asked(project) == done
