"""Measures one block of a race: asks to several arms, shuffled together.

The endpoint's health tells whether a fault of the server hit the block. It is asked at fixed places
(before, every so many trials, after), whatever the outcomes are. If failures alone triggered a
look, it could drop the blocks in which one spec fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selfopt.records import Ask, Environment, Purpose, Record, Run, Spec, Suite, Trial

from .arms import WarmUps, open_arm, ready
from .asks import Asking, Place
from .context import Desk, Labels
from .health import Health
from .lookup import find
from .refusals import Refusals
from .rescore import ensure_verdicts
from .resume import close_open_runs
from .trial import JudgedTrial, OpenArm


@dataclass(frozen=True, slots=True)
class BlockOrder:
    """What to ask in a block.

    Attributes:
        number: of the block in its race.
        discards: how often the block was dropped before.
        asks: what to ask, in this order.
        specs: by request_id, the spec under whose name it is asked.
        suite: the suite of all specs.
        purpose: of the runs.
    """

    block_id: str
    number: int
    discards: int
    asks: Sequence[Ask]
    specs: Mapping[str, Spec]
    suite: Suite
    cycle_id: str | None = None
    purpose: Purpose = "race"

    @property
    def group_id(self) -> str:
        """The group of the block's runs. A block that is repeated after a drop has another one."""
        return self.block_id if self.discards == 0 else f"{self.block_id}/{self.discards}"


@dataclass(frozen=True, slots=True)
class BlockResult:
    """The result of a block. Without a fault and a cap, the block is complete.

    Attributes:
        trials: by request_id, in the order of draws and repeats.
        closing: the records that end the block's runs. The caller appends them together with its
            record of the block.
        environments: by request_id, the newest that was seen.
        fault: what is wrong with the endpoint, if anything.
        stopped: the cap that cut the block off, if one did.
    """

    trials: Mapping[str, tuple[JudgedTrial, ...]]
    closing: tuple[Record, ...]
    environments: Mapping[str, Environment]
    fault: str | None = None
    stopped: str | None = None

    def trial_ids(self) -> tuple[str, ...]:
        """The ids of all trials of the block."""
        return tuple(item.trial.trial_id for each in self.trials.values() for item in each)


async def block_state(desk: Desk, group_id: str) -> tuple[dict[Place, Trial], dict[str, Environment]]:
    """What the ledger has of a block: its trials, and the newest environment by request_id.

    Runs that a dead process left open are closed, and their started trials are marked as abandoned.
    """
    ledger = desk.context.ledger
    runs = list(ledger.read(Run, {"group_id": group_id}))
    await close_open_runs(ledger, runs, desk.context.now)
    trials = {(run.request_id, t.position): t for run in runs for t in ledger.read(Trial, {"run_id": run.run_id})}
    seen = ((run.request_id, find(ledger, Environment, run.environment_id)) for run in runs)
    return trials, {request_id: environment for request_id, environment in seen if environment is not None}


async def measure_block(desk: Desk, order: BlockOrder, *, warm_up: bool, warmed: WarmUps) -> BlockResult:
    """Ask everything in the block that the ledger does not have yet.

    After an error or when it is cancelled, the same call completes the block.

    Args:
        warm_up: make every arm ready first, unscored, even if its model is loaded.
        warmed: warm-ups that were made just before, for the record.

    Raises:
        Whatever `Asking.make` raises when the endpoint is healthy.
    """
    made, environments = await block_state(desk, order.group_id)
    waiting = [(index, ask) for index, ask in enumerate(order.asks) if ask.place not in made]
    done = await _resumed(desk, order, made)
    desk.board.total += len(order.asks)
    desk.board.done += len(done)
    if not waiting:
        return BlockResult(_in_order(order, done), (), environments)
    wanted: dict[str, list[str]] = {}
    for _, ask in waiting:
        wanted.setdefault(ask.arm, []).append(ask.prompt_id)
    specs = {request_id: spec for request_id, spec in order.specs.items() if request_id in wanted}
    readiness = await ready(desk, list(specs.values()), order.suite, always=warm_up, before=warmed)
    labels = Labels(group_id=order.group_id, cycle_id=order.cycle_id, purpose=order.purpose)
    arms = {
        request_id: open_arm(desk, spec, order.suite, wanted[request_id], order.number, labels, readiness[request_id])
        for request_id, spec in specs.items()
    }
    environments |= {request_id: arm.environment for request_id, arm in arms.items()}
    health = Health(desk, arms)
    if health.found is not None:
        return BlockResult(_in_order(order, done), (), environments, health.found)
    asking = Asking(desk, arms, waiting, order.suite, "block", health, _refusals(arms, made))
    fault = await asking.make()
    if fault is None and asking.stopped is None:
        fault = await health.problem()
    closing = asking.closing(f"the block was given up: {fault or asking.stopped}")
    trials = _in_order(order, done | asking.done)
    return BlockResult(trials, closing, environments, fault, None if fault else asking.stopped)


def _refusals(arms: Mapping[str, OpenArm], made: Mapping[Place, Trial]) -> dict[str, Refusals]:
    """What the server refused in this block, by request_id."""
    return {
        request_id: Refusals.after(
            [trial for place, trial in made.items() if place[0] == request_id],
            without_tools=arm.status.tools is False,
            lasting=True,
        )
        for request_id, arm in arms.items()
    }


async def _resumed(desk: Desk, order: BlockOrder, made: Mapping[Place, Trial]) -> dict[Place, JudgedTrial]:
    """The trials that the ledger has, each judged as the spec it was asked for does."""
    found: dict[Place, JudgedTrial] = {}
    for request_id, spec in order.specs.items():
        mine = [trial for place, trial in made.items() if place[0] == request_id]
        judged = (await ensure_verdicts(desk.context.ledger, spec, order.suite, mine)).trials if mine else ()
        found.update(((request_id, item.trial.position), item) for item in judged)
    return found


def _in_order(order: BlockOrder, done: Mapping[Place, JudgedTrial]) -> dict[str, tuple[JudgedTrial, ...]]:
    return {request_id: tuple(done[place] for place in sorted(done) if place[0] == request_id) for request_id in order.specs}
