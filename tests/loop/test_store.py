"""Which cycle and which loop a command goes on with, where several processes work in one ledger."""

from __future__ import annotations

from selfopt.ledger import MemoryLedger
from selfopt.loop.store import newest_cycles, open_loop, unfinished_cycles
from selfopt.records import CycleAbandoned, CycleStart, CycleTarget, LoopEnd, LoopStart

AT = "2026-01-01T00:00:00Z"


def cycle(number: int, *models: str, loop: str | None = None) -> CycleStart:
    """The start of a cycle on some models."""
    targets = tuple(CycleTarget(model=model, phase="atomic", baseline_spec_id="spec") for model in models)
    return CycleStart(cycle_id=f"cycle-{number}", number=number, targets=targets, config_version=0, loop_id=loop, at=AT)


def begun(name: str, request: str, adopted: str | None = None) -> LoopStart:
    """The start of a loop."""
    return LoopStart(loop_id=name, request=request, cycles=2, adopted=adopted, at=AT)


async def test_each_model_has_its_own_newest_cycle() -> None:
    """A cycle of others neither hides it nor is taken for it; one of several models is there once."""
    ledger = MemoryLedger()
    await ledger.append([cycle(1, "s/a"), cycle(2, "s/b", "s/c"), cycle(3, "s/d")])
    assert [one.number for one in newest_cycles(ledger, ["s/a"])] == [1]
    assert [one.number for one in newest_cycles(ledger, ["s/c", "s/a", "s/b"])] == [2, 1]
    assert newest_cycles(ledger, ["s/nobody"]) == []
    assert [one.number for one in newest_cycles(ledger, ["S/A"], str.lower)] == [1]
    assert [one.number for one in newest_cycles(ledger, None)] == [3]
    await ledger.append([CycleAbandoned(cycle_id="cycle-2", number=2, reason="why", at=AT)])
    assert [one.number for one in unfinished_cycles(ledger, ["s/a", "s/b"])] == [1]


async def test_a_loop_goes_on_while_nobody_else_worked_on_its_models() -> None:
    """Loops of other models don't count; a later cycle of one of its models means a new loop."""
    ledger = MemoryLedger()
    await ledger.append([begun("one", "a"), cycle(1, "s/a", loop="one"), begun("two", "b"), cycle(2, "s/b", loop="two")])

    def found(request: str, *models: str, ended_too: bool = False) -> LoopStart | None:
        return open_loop(ledger, request, newest_cycles(ledger, models), ended_too=ended_too)

    one = found("a", "s/a")
    assert one is not None
    assert one.loop_id == "one"
    assert found("nobody's", "s/a") is None
    await ledger.append([cycle(3, "s/a", loop="three")])
    assert found("a", "s/a") is None
    await ledger.append([LoopEnd(loop_id="two", at=AT)])
    assert found("b", "s/b") is None
    assert found("b", "s/b", ended_too=True) is not None


async def test_a_loop_that_has_not_begun_a_cycle_goes_on_with_the_one_that_it_adopted() -> None:
    """Killed right after its start, with and without an interrupted cycle before it."""
    ledger = MemoryLedger()
    await ledger.append([cycle(1, "s/a", loop="gone"), begun("one", "a", adopted="cycle-1"), begun("two", "b")])
    for request, model, name in (("a", "s/a", "one"), ("b", "s/b", "two")):
        loop = open_loop(ledger, request, newest_cycles(ledger, [model]))
        assert loop is not None
        assert loop.loop_id == name
