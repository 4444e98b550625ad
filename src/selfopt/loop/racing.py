"""Runs a race from its start to its end, and keeps each block.

The race itself is a fold over its blocks (`selfopt.policy.Race`). This file asks it what to measure
next and tells it the result. A block and the end of its runs are one transaction. When the process
is killed before it, the next start completes the block; when it is killed after it, the next start
goes on with the following block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from selfopt.errors import BudgetError
from selfopt.home import counted
from selfopt.measure.arena import Arena
from selfopt.measure.lookup import find, unknown_specs
from selfopt.measure.race_block import BlockOrder, BlockResult
from selfopt.policy import BlockPlan, Race
from selfopt.records import (
    AlphaSpent,
    EvidenceKey,
    HoldReason,
    Outcome,
    RaceBlock,
    RaceBlockDiscarded,
    RaceEnd,
    RaceStanding,
    RaceStart,
    Record,
    Spec,
    content_hash,
)
from selfopt.words.evidence import block_dropped, ended_text, race_dropped, race_over, race_started, void_text

from .context import LoopContext, LoopEvent
from .entry import RaceField, blocks_of, keys_of, make_start, replayed, resumed_by
from .spending import charged_by_hand
from .store import spec_by_id

_MAX_RESTARTS = 3


@dataclass(frozen=True, slots=True)
class Raced:
    """A race that is over, with all blocks that its candidates rest on, oldest first."""

    start: RaceStart
    end: RaceEnd
    blocks: tuple[RaceBlock, ...]

    def look_ids(self, spec_id: str) -> tuple[str, ...]:
        """The ids of the races that spent alpha on a candidate."""
        entrant = next((one for one in self.start.entrants if one.spec_id == spec_id), None)
        return () if entrant is None else entrant.resumes or (self.start.race_id,)

    def standing(self, spec_id: str) -> RaceStanding | None:
        """How a candidate stood at the end; None when it did not take part."""
        return next((standing for standing in self.end.standings if standing.spec_id == spec_id), None)


async def run_race(context: LoopContext, field: RaceField) -> Raced | None:
    """Race, continue an interrupted race, or read how the race ended.

    When the server has changed since the race began, what it gathered is void: the race is ended
    and begun anew.

    Returns:
        The race; None when alpha is used up.

    Raises:
        BudgetError: a cap ended the race before its first block was complete.
        EndpointError: the server cannot be asked. The race stays open, and the same call continues
            it.
    """
    for attempt in range(_MAX_RESTARTS):
        if attempt:
            field = replace(field, race_id=f"{field.race_id.partition('/')[0]}/{attempt}")
        over = _ended(context, field.race_id)
        if over is None:
            over = await _Racing(context, context.measure.arena, field).run()
        if over is None or over.end.ended_by != "server_changed":
            return over
    return over


def _ended(context: LoopContext, race_id: str) -> Raced | None:
    end, start = find(context.ledger, RaceEnd, race_id), find(context.ledger, RaceStart, race_id)
    return None if end is None or start is None else Raced(start, end, _all_blocks(context, start))


def _all_blocks(context: LoopContext, start: RaceStart) -> tuple[RaceBlock, ...]:
    return tuple(block for one in (*resumed_by(context, start), start) for block in blocks_of(context, one.race_id))


class _Racing:
    """One race under way."""

    def __init__(self, context: LoopContext, arena: Arena, field: RaceField) -> None:
        self._context = context
        self._arena = arena
        self._field = field
        self._told: set[str] = set()

    async def run(self) -> Raced | None:
        context, field = self._context, self._field
        now = await self._arena.prepare(field.asked, field.suite)
        keys = keys_of(field, now)
        start = find(context.ledger, RaceStart, field.race_id)
        unfinished: tuple[HoldReason, str] | None = None
        if start is None:
            made = await make_start(context, field, keys, now)
            if made is None:
                return None
            start, spent = made
            unfinished = await self._finish_earlier(start)
            new: list[AlphaSpent] = []
            if spent is not None and find(context.ledger, AlphaSpent, spent.spending_id) is None:
                new = [*charged_by_hand(context, field.baseline, field.purpose), spent]
            await context.ledger.append([*unknown_specs(context.ledger, field.specs), *new, start])
            context.on_step("race_begun")
        race = replayed(context, start)
        context.say(LoopEvent("race", race_started(start, race.blocks), start))
        if not self._same(start, keys):
            race.hold("server_changed")
        elif unfinished is not None:
            race.hold(*unfinished)
        await self._blocks(race)
        return await self._over(race)

    def _same(self, start: RaceStart, keys: Mapping[str, EvidenceKey]) -> bool:
        """Whether the race still measures what it began with. Tells the user what has changed."""
        for entrant in start.entrants:
            changed = entrant.key.differences(keys[entrant.spec_id])
            if changed:
                text = void_text(f"of {start.race_id}", "it began", changed)
                self._context.say(LoopEvent("evidence", text, start))
                return False
        return True

    async def _finish_earlier(self, start: RaceStart) -> tuple[HoldReason, str] | None:
        """Complete the blocks that a cap cut off in the earlier races that this one goes on from.

        To drop such a block for its cost would be to choose among outcomes.

        Returns:
            Why an earlier race was held again, when a cap or a fault did that.
        """
        context = self._context
        for old in resumed_by(context, start):
            race = replayed(context, old)
            plan = race.plan_block()
            if plan is not None and await self._arena.begun(self._order(old, plan)):
                await self._block(race, plan)
                if race.held is not None:
                    return race.held
        return None

    async def _blocks(self, race: Race) -> None:
        """Measure blocks until the race is over."""
        cap = self._context.settings.policy.race_trials
        while (plan := race.plan_block()) is not None:
            order = self._order(race.start, plan)
            why = self._arena.desk.meter.shortfall(plan.trials - await self._arena.begun(order))
            if race.trials + plan.trials > cap:
                why = f"race_trials = {cap} reached"
            if why is None:
                await self._block(race, plan)
            elif plan.trials <= cap:
                self._hold(race, why)
            else:
                race.hold("cap", why)

    def _hold(self, race: Race, why: str) -> None:
        """Hold the race because of a cap.

        BudgetError when it has no whole block yet, so that it says nothing.
        """
        if all(standing.blocks == 0 for standing in race.standings(interval=False)):
            raise BudgetError(
                f"the race of {self._field.baseline.label} has no complete block yet: {why}; nothing was decided, what was measured is kept, "
                "and the same command continues it"
            )
        race.hold("cap", why)

    def _order(self, start: RaceStart, plan: BlockPlan) -> BlockOrder:
        pairs = [(start.baseline_request_id, start.baseline_spec_id), *((e.request_id, e.spec_id) for e in start.entrants)]
        leads = dict(reversed(pairs))  # a request is made under the name of the first spec of those that share it
        dropped = self._context.ledger.read(RaceBlockDiscarded, {"race_id": plan.race_id})
        return BlockOrder(
            block_id=RaceBlock.make_id(plan.race_id, plan.number),
            number=plan.number,
            discards=sum(record.number == plan.number for record in dropped),
            asks=plan.asks(),
            specs={request_id: self._spec(leads[request_id]) for request_id in plan.requests},
            suite=self._field.suite,
            cycle_id=start.cycle_id,
        )

    def _spec(self, spec_id: str) -> Spec:
        known = next((spec for spec in self._field.specs if spec.spec_id == spec_id), None)
        return known if known is not None else spec_by_id(self._context.ledger, spec_id)

    async def _block(self, race: Race, plan: BlockPlan) -> None:
        """Measure one block.

        It is kept when complete, dropped when the server failed, and left open when a cap cut it
        off.
        """
        order = self._order(race.start, plan)
        result = await self._arena.block(order)
        if result.fault is not None:
            await self._dropped(race, order, result)
        elif result.stopped is not None:
            await self._context.ledger.append(result.closing)
            self._hold(race, result.stopped)
        else:
            block = await self._judged(plan, result)
            race.absorb(block)
            records: list[Record] = [*result.closing, block]
            if race.ended is not None and race.start.race_id == self._field.race_id:
                records.append(race.end(self._context.now()))
            await self._context.ledger.append(records)
            self._context.on_step("race_block")
            self._say_block(race)

    async def _judged(self, plan: BlockPlan, result: BlockResult) -> RaceBlock:
        """The record of a complete block: how many answers of each spec passed, for each draw."""
        passes: dict[str, list[int]] = {}
        trial_ids: dict[str, list[str]] = {}
        for spec_id, times in plan.asked.items():
            judged = await self._arena.judged(result, self._spec(spec_id), self._field.suite)
            good = [int(item.verdict.outcome is Outcome.PASS) for item in judged]
            passes[spec_id] = [sum(good[place : place + times]) for place in range(0, len(good), times)]
            trial_ids[spec_id] = [item.trial.trial_id for item in judged]
        return plan.block(passes, trial_ids=trial_ids, at=self._context.now())

    async def _dropped(self, race: Race, order: BlockOrder, result: BlockResult) -> None:
        """Record that a block was dropped.

        The race is held when that was once too often or the server does not come back.
        """
        context = self._context
        record = RaceBlockDiscarded(
            discard_id=f"{order.block_id}-discard-{order.discards + 1}",
            race_id=race.start.race_id,
            number=order.number,
            reason=str(result.fault),
            trial_ids=result.trial_ids(),
            at=context.now(),
        )
        await context.ledger.append([*result.closing, record])
        context.on_step("race_block_dropped")
        again = order.discards < race.start.settings.max_discards
        text = block_dropped(order.number, str(result.fault), order.discards, again=again)
        context.say(LoopEvent("evidence", text, record))
        if not again or not await self._arena.recover(next(iter(order.specs.values()))):
            race.hold("server_faults", str(result.fault))
            return
        now = await self._arena.prepare(self._field.asked, self._field.suite)
        if race.start.race_id == self._field.race_id and not self._same(race.start, keys_of(self._field, now)):
            race.hold("server_changed")

    async def _over(self, race: Race) -> Raced:
        context, race_id = self._context, race.start.race_id
        end = find(context.ledger, RaceEnd, race_id)
        if end is None:
            end = race.end(context.now())
            await context.ledger.append([end])
        context.on_step("race_ended")
        context.say(LoopEvent("race", self._how_it_ended(race), end))
        return Raced(race.start, end, _all_blocks(context, race.start))

    def _name(self, spec_id: str) -> str:
        return self._spec(spec_id).variant.name

    def _say_block(self, race: Race) -> None:
        self._arena.desk.board.tell(
            "note", f"block {race.blocks}, {counted(race.trials, 'trial')}, {counted(len(race.alive), 'candidate')} alive"
        )
        for standing in race.standings(interval=False):
            if standing.state == "dropped" and standing.spec_id not in self._told:
                self._told.add(standing.spec_id)
                text = race_dropped(self._name(standing.spec_id), standing, race.blocks)
                self._context.say(LoopEvent("race", text, race.start))

    def _how_it_ended(self, race: Race) -> str:
        ended = ended_text(*race.held) if race.held else ""
        standings = race.standings(interval=False)
        rest = [s for s in standings if s.spec_id == race.winner] or [s for s in standings if s.state == "held"]
        best = max(rest, key=lambda s: s.log_e - s.log_e_needed, default=None)
        return race_over(self._name(best.spec_id) if best else "", best, ended, race.blocks, race.trials)


def race_id_of(cycle: int, spec_id: str, purpose: str) -> str:
    """The id of a race.

    It follows from the arguments alone, so a continued cycle finds its race and draws the same
    prompts.
    """
    return content_hash("race", [cycle, spec_id, purpose])
