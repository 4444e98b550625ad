"""A loop over a server that only fails: it is asked a few times, and the same command goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from selfopt.errors import EndpointError
from selfopt.records import Cycle, Evaluation, Run, RunEnd, Trial

from .kit import World, model
from .test_refused import refusal

Make = Callable[..., World]
MOST = 30
DEFAULT = {"limits": {"retries": 1}}
OVERLOADED = refusal(529, '{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}')
CRASHED = refusal(500, "oops")
UNREAD = refusal(500, "error parsing tool call: raw='x', err=y")
UNKNOWN = refusal(400, "no such thing")
GARBAGE = {"fault": {"kind": "garbage"}}


def requests(world: World) -> int:
    """How many chats the server got."""
    assert world.engine is not None
    return sum(entry.dialect == "openai" for entry in world.engine.journal)


@pytest.mark.parametrize("answer", [OVERLOADED, CRASHED, UNREAD, UNKNOWN, GARBAGE, refusal(429, "slow down")])
async def test_a_server_that_never_answers_well_gets_few_requests(world: Make, answer: dict[str, Any]) -> None:
    """Whatever it says, and whatever the loop tries."""
    w = world(m=model(replies=[answer]))
    with pytest.raises(EndpointError, match=r"the server only fails: .*run the same command again to go on"):
        await w.loop("scripted/m atomic native_api", settings=DEFAULT, cycles=3)
    assert requests(w) <= MOST
    assert w.rules() == {}


@pytest.mark.parametrize("answer", [OVERLOADED, CRASHED])
async def test_the_same_command_goes_on_when_the_server_is_back(world: Make, answer: dict[str, Any]) -> None:
    """What failed counts for no spec, so the evidence is that of a server that never failed."""
    w = world(m=model(replies=[answer]))
    for _ in range(2):
        with pytest.raises(EndpointError, match=r"529|500"):
            await w.loop("scripted/m atomic native_api", settings=DEFAULT)
    assert requests(w) <= 12
    with w.ledger() as ledger:
        ends = list(ledger.read(RunEnd))
        assert [(end.status, end.fault) for end in ends] == [("interrupted", "server")] * 2
        assert all("529" in end.said or "500" in end.said for end in ends)
    w.rescript(m=model())
    (cycle,) = await w.loop("scripted/m atomic native_api", settings=DEFAULT)
    assert isinstance(cycle, Cycle)
    assert cycle.number == 1
    with w.ledger() as ledger:
        (evaluation,) = list(ledger.read(Evaluation, {"id": cycle.targets[0].baseline_evaluation_id or ""}))
        assert (evaluation.metrics.accuracy, evaluation.determinism) == (1.0, "sampled")
        assert (
            sum(trial.fault == "error" for run in ledger.read(Run) for trial in ledger.read(Trial, {"run_id": run.run_id})) <= 4
        )


async def test_a_variant_that_crashes_the_server_ends_its_pass_alone(world: Make) -> None:
    """The baseline was answered, so the candidate is at fault; the cycle is finished without it."""
    w = world(m=model("mute", replies=[{"match": {"tools": False}, **CRASHED}]))
    (cycle,) = await w.loop("scripted/m atomic native_api", settings=DEFAULT)
    assert cycle.targets[0].winner_variant is None
    with w.ledger() as ledger:
        crashed = [t for t in ledger.read(Trial) if t.asked and t.fault == "error"]
        assert 0 < len(crashed) <= 9
        assert {t.said[:3] for t in ledger.read(Trial) if not t.asked} == {"500"}
