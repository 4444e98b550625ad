"""A check under way: what it asks, block by block, and what it keeps."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from selfopt.measure.arena import Arena, judged_by
from selfopt.measure.arms import model_status
from selfopt.measure.blocks import measure_specs
from selfopt.measure.budget import BudgetMeter
from selfopt.measure.context import Desk, Labels, MeasureContext
from selfopt.measure.lookup import find, unknown_specs
from selfopt.measure.options import MeasureOptions
from selfopt.measure.race_block import BlockOrder, BlockResult
from selfopt.measure.trial import JudgedTrial
from selfopt.policy import EXACT_SHARE, CheckPlan, CheckRace, answers_needed, sample_size
from selfopt.records import (
    Ask,
    Check,
    CheckBlock,
    CheckSide,
    CheckStart,
    Environment,
    Evaluation,
    Outcome,
    RaceBlockDiscarded,
    Run,
    Spec,
    content_hash,
    new_id,
)
from selfopt.wiring.app import App

from .check_result import check_of, evaluation_of, known_of
from .check_subject import CheckSubject

_FORGOTTEN_AFTER = timedelta(days=1)
_SAMPLE = 30  # prompts that are asked again in isolation at least: a check has less to go by later than a loop has
_FAULTS = frozenset({Outcome.TIMEOUT, Outcome.LOADING, Outcome.ERROR})


class CheckUnderWay:
    """One check under way."""

    def __init__(self, app: App, subject: CheckSubject, context: MeasureContext, meter: BudgetMeter) -> None:
        self._app, self._subject, self._context, self._meter = app, subject, context, meter
        self._arena = Arena(Desk.of(context, meter))
        self._before = subject.before
        self._environments: Mapping[str, Environment] = {}

    @property
    def _specs(self) -> list[Spec]:
        return [self._subject.now, *([self._before] if self._before is not None else [])]

    async def run(self, *, fresh: bool) -> Check:
        """Begin or go on, ask, and keep the verdict."""
        ledger = self._context.ledger
        await self._drop_silent()
        self._environments = await self._arena.prepare(self._specs, self._subject.suite)
        self._drop_changed()
        key = self._key()
        start = None if fresh else self._unfinished(key)
        if start is None:
            start = await self._begin(key, fresh=fresh)
            await ledger.append([*unknown_specs(ledger, self._specs), start])
            self._app.on_step("check_begun")
        blocks = sorted(ledger.read(CheckBlock, {"check_id": start.check_id}), key=lambda block: block.number)
        race = CheckRace.replay(start, blocks)
        await self._blocks(race, blocks)
        found = check_of(self._app, self._subject, race, blocks, self._meter)
        await ledger.append([found])
        self._app.on_step("check_ended")
        return found

    async def _drop_silent(self) -> None:
        """Where no server answers for the state's configuration any more, its recorded runs stand for it."""
        if self._subject.state is not None and self._before is not None:
            status = await model_status(self._arena.desk, self._before)
            if status.answers is False:
                self._before = None

    def _drop_changed(self) -> None:
        """Where another model answers for the state's configuration now, its recorded runs stand for it."""
        state, before = self._subject.state, self._before
        if state is not None and before is not None and not self._environments[before.spec_id].compatible_with(state.environment):
            self._before = None

    def _key(self) -> str:
        subject, state = self._subject, self._subject.state
        what = [
            [spec.spec_id for spec in self._specs],
            [self._environments[spec.spec_id].environment_id for spec in self._specs],
            content_hash("state", state.model_dump(mode="json")) if state is not None else None,
            subject.file.settings().model_dump(mode="json"),
            dict(subject.file.thresholds),
            subject.must_pass,
            judged_by(subject.suite),
        ]
        return content_hash("checked", what)

    def _unfinished(self, key: str) -> CheckStart | None:
        """The newest check of this key, if it was interrupted lately. What served long ago may be another model."""
        ledger = self._context.ledger
        newest = next(iter(ledger.read(CheckStart, {"key": key}, newest_first=True, limit=1)), None)
        if newest is None or next(iter(ledger.read(Check, {"id": newest.check_id}, limit=1)), None) is not None:
            return None
        age = datetime.fromisoformat(self._context.now()) - datetime.fromisoformat(newest.at)
        return newest if age <= _FORGOTTEN_AFTER else None

    async def _begin(self, key: str, *, fresh: bool) -> CheckStart:
        subject, ledger = self._subject, self._context.ledger
        number = sum(1 for _ in ledger.read(CheckStart, {"key": key}))
        check_id = new_id("check") if fresh else content_hash("check", [key, number])
        measured = await self._copies(check_id)
        start = CheckStart(
            check_id=check_id,
            key=key,
            file=subject.shown,
            model=subject.now.model,
            phase=subject.now.phase,
            suite=subject.suite.name,
            suite_hash=subject.now.suite_hash,
            scorer_hash=judged_by(subject.suite),
            split=subject.now.split,
            prompt_ids=tuple(prompt.id for prompt in subject.prompts),
            needs_call=tuple(prompt.id for prompt in subject.prompts if prompt.needs_call),
            must_pass=subject.must_pass,
            thresholds=subject.file.thresholds,
            now=self._side(subject.now, measured),
            before=self._earlier(measured),
            settings=subject.file.settings(),
            at=self._context.now(),
        )
        return await self._confirmed(start)

    async def _copies(self, check_id: str) -> dict[str, Evaluation]:
        """Find out whose repeats are copies: one pass and an isolated sample of each spec that may be such."""
        asked = [spec for spec in self._specs if not spec.variant.sampling.draws_anew]
        if not asked:
            return {}
        n_prompts = len(self._subject.prompts)
        wanted = max(_SAMPLE, self._app.settings.loop.sample_of(n_prompts), sample_size(n_prompts, self._subject.file.settings()))
        size = min(n_prompts, wanted)
        options = MeasureOptions(
            sampling=True, sample_size=size, repeat=False, labels=Labels(group_id=f"{check_id}-copies"), meter=self._meter
        )
        return await measure_specs(asked, context=self._context, options=options)

    def _side(self, spec: Spec, measured: Mapping[str, Evaluation]) -> CheckSide:
        evaluation = measured.get(spec.spec_id)
        return CheckSide(
            spec_id=spec.spec_id,
            request_id=spec.request_id,
            model=spec.model,
            variant=spec.variant.name,
            environment_id=self._environments[spec.spec_id].environment_id,
            known=known_of(evaluation) if evaluation is not None and evaluation.has_copies else None,
            evaluation_id=evaluation.evaluation_id if evaluation is not None else None,
        )

    def _earlier(self, measured: Mapping[str, Evaluation]) -> CheckSide | None:
        """The other side: asked again where it can be, else as it was recorded."""
        if self._before is not None:
            return self._side(self._before, measured)
        state = self._subject.state
        if state is None:
            return None
        rows = {row.prompt_id: row.outcomes for row in state.rows}
        return CheckSide(
            spec_id=state.spec_id,
            request_id=state.request_id,
            model=state.model,
            variant=state.variant,
            environment_id=state.environment.environment_id,
            known={name: outcomes[0] for name, outcomes in rows.items()} if state.exact else None,
            recorded={} if state.exact else rows,
        )

    async def _confirmed(self, start: CheckStart) -> CheckStart:
        """Ask again what an exact verdict rests on, until luck is ruled out.

        Where an answer differs, or a side varies, repeats are no copies, and the check goes on by evidence.
        """
        before = start.before
        if start.now.known is None or (before is not None and before.known is None):
            return self._varying(start)
        if self._refused(start.now):  # repeats can't change that, and ask for nothing
            return start
        twice = [self._twice(side) for side in (start.now, before) if side is not None and side.evaluation_id is not None]
        needed = answers_needed(start, set.intersection(*twice))
        asks: list[Ask] = []
        sides = [(start.now, needed[0], twice[0])]
        if before is not None and self._before is not None:
            sides.append((before, needed[1], twice[1]))
        wanted: dict[str, dict[str, int]] = {}
        for side, answers, had in sides:
            mine = wanted.setdefault(side.request_id, {})
            for name in start.prompt_ids:
                mine[name] = max(mine.get(name, 0), answers[name] - 1 - (name in had))
        for request_id, times in wanted.items():
            names = [name for name in start.prompt_ids for _ in range(times[name])]
            asks += [Ask(request_id, place, name) for place, name in enumerate(names)]
        if not asks:
            return start
        random.Random(f"confirm {start.check_id}").shuffle(asks)
        agreed = await self._repeated(start, asks, [side for side, _, _ in sides])
        return start if agreed else self._varying(start)

    async def _repeated(self, start: CheckStart, asks: Sequence[Ask], sides: Sequence[CheckSide]) -> bool:
        """Ask once more, and say whether every answer is what is known. False where a cap or a fault ends it."""
        short = self._meter.shortfall(len(asks))
        if short is not None:
            return False
        specs = {side.request_id: self._spec(side.spec_id) for side in reversed(sides)}
        order = BlockOrder(f"{start.check_id}-confirm", 0, 0, asks, specs, self._subject.suite)
        result = await self._arena.block(order)
        await self._context.ledger.append(result.closing)
        if result.fault is not None or result.stopped is not None:
            return False
        for side in sides:
            assert side.known is not None
            judged = await self._arena.judged(result, self._spec(side.spec_id), self._subject.suite)
            if any(item.verdict.outcome is not side.known[item.trial.prompt_id] for item in judged):
                return False
        return True

    def _refused(self, side: CheckSide) -> bool:
        evaluation = evaluation_of(self._context.ledger, side.evaluation_id)
        return evaluation is not None and evaluation.determinism == "refused"

    def _twice(self, side: CheckSide) -> set[str]:
        """The prompts whose answers were repeated in isolation."""
        evaluation = evaluation_of(self._context.ledger, side.evaluation_id)
        assert evaluation is not None
        runs = (find(self._context.ledger, Run, run_id) for run_id in evaluation.determinism_run_ids)
        return {name for run in runs if run is not None for name in run.prompt_ids}

    def _varying(self, start: CheckStart) -> CheckStart:
        """The same check by evidence: where repeats of one side are no copies, those of the other may only look like it."""
        if start.now.evaluation_id is None and (start.before is None or start.before.evaluation_id is None):
            return start
        settings = start.settings
        left = {"alpha": settings.alpha * (1 - EXACT_SHARE), "beta": settings.beta * (1 - EXACT_SHARE)}
        update: dict[str, object] = {
            "now": start.now.model_copy(update={"known": None}),
            "settings": settings.model_copy(update=left),
        }
        if start.before is not None and self._before is not None:
            update["before"] = start.before.model_copy(update={"known": None})
        return start.model_copy(update=update)

    def _spec(self, spec_id: str) -> Spec:
        return next(spec for spec in self._specs if spec.spec_id == spec_id)

    async def _blocks(self, race: CheckRace, blocks: list[CheckBlock]) -> None:
        """Measure blocks until the check is over. Each one is kept as soon as it is complete."""
        while (plan := race.plan_block()) is not None:
            block = self._of_the_first_pass(plan)
            if block is None:
                order = self._order(plan)
                why = self._meter.shortfall(plan.trials - await self._arena.begun(order))
                if why is not None:
                    race.hold("cap", why)
                    return
                result = await self._arena.block(order)
                if result.fault is not None:
                    await self._dropped(race, order, result)
                    continue
                if result.stopped is not None:
                    await self._context.ledger.append(result.closing)
                    race.hold("cap", result.stopped)
                    return
                if self._changed(result.environments):
                    await self._context.ledger.append(result.closing)
                    race.hold("server_changed")
                    return
                block = await self._judged(plan, result)
                closing = result.closing
            else:
                closing = ()
            race.absorb(block)
            blocks.append(block)
            await self._context.ledger.append([*closing, block])
            self._app.on_step("check_block")

    def _changed(self, seen: Mapping[str, Environment]) -> bool:
        """Whether another model, or another build of the server, answered a block. seen: by request_id."""
        specs = [spec for spec in self._specs if spec.request_id in seen]
        return any(not seen[spec.request_id].compatible_with(self._environments[spec.spec_id]) for spec in specs)

    def _of_the_first_pass(self, plan: CheckPlan) -> CheckBlock | None:
        """The first block, made of the passes that showed that repeats are no copies; None where it has to be asked."""
        if plan.number:
            return None
        found: list[tuple[list[Outcome], list[str]]] = []
        for side, asked in ((plan.start.now, True), (plan.start.before, plan.ask_before)):
            outcomes: list[Outcome] = []
            trials: list[str] = []
            if asked and side is not None:
                evaluation = evaluation_of(self._context.ledger, side.evaluation_id)
                if evaluation is None or any(row.outcomes[0] in _FAULTS for row in evaluation.rows):
                    return None
                rows = {row.prompt_id: row for row in evaluation.rows}
                outcomes = [rows[name].outcomes[0] for name in plan.prompt_ids]
                trials = [rows[name].trial_ids[0] for name in plan.prompt_ids]
            found.append((outcomes, trials))
        (now, now_trials), (before, before_trials) = found
        return plan.block(now, before, now_trials=now_trials, before_trials=before_trials, at=self._context.now())

    def _order(self, plan: CheckPlan) -> BlockOrder:
        dropped = self._context.ledger.read(RaceBlockDiscarded, {"race_id": plan.start.check_id})
        return BlockOrder(
            block_id=plan.block_id,
            number=plan.number,
            discards=sum(record.number == plan.number for record in dropped),
            asks=plan.asks(),
            specs={spec.request_id: spec for spec in reversed(self._specs) if spec.request_id in plan.requests},
            suite=self._subject.suite,
        )

    async def _judged(self, plan: CheckPlan, result: BlockResult) -> CheckBlock:
        n_draws = len(plan.draws.positions)
        sides: list[tuple[list[Outcome], list[str]]] = []
        for side, asked, n in (
            (plan.start.now, True, n_draws + len(plan.again)),
            (plan.start.before, plan.ask_before, n_draws),
        ):
            items: Sequence[JudgedTrial] = ()
            if asked and side is not None:
                items = (await self._arena.judged(result, self._spec(side.spec_id), self._subject.suite))[:n]
            sides.append(([item.verdict.outcome for item in items], [item.trial.trial_id for item in items]))
        (now, now_trials), (before, before_trials) = sides
        return plan.block(now, before, now_trials=now_trials, before_trials=before_trials, at=self._context.now())

    async def _dropped(self, race: CheckRace, order: BlockOrder, result: BlockResult) -> None:
        """Record that a block was dropped; the check is held when that was once too often or the server stays away."""
        record = RaceBlockDiscarded(
            discard_id=f"{order.block_id}-discard-{order.discards + 1}",
            race_id=race.start.check_id,
            number=order.number,
            reason=str(result.fault),
            trial_ids=result.trial_ids(),
            at=self._context.now(),
        )
        await self._context.ledger.append([*result.closing, record])
        again = order.discards < race.start.settings.max_discards
        if not again or not await self._arena.recover(self._subject.now):
            race.hold("server_faults", str(result.fault))
            return
        now = await self._arena.prepare(self._specs, self._subject.suite)
        if any(not now[name].compatible_with(then) for name, then in self._environments.items() if name in now):
            race.hold("server_changed")
