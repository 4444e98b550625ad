"""Replays the newest races and held-out tests from the ledger, for the report's curves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from selfopt.errors import SelfoptError
from selfopt.home import counted
from selfopt.loop import outcomes_of, shares_of
from selfopt.policy import Race, prompt_steps
from selfopt.records import (
    CyclePlan,
    CycleStart,
    Evaluation,
    Ledger,
    PromptTest,
    RaceBlock,
    RaceEnd,
    RaceStanding,
    RaceStart,
    Spec,
)
from selfopt.report import Course, CoursePoint
from selfopt.words.evidence import standing_text

_RACES = 6
_INTERVALS = 24  # each takes some milliseconds
_WORDS = {"promoted": "wins", "dropped": "is dropped", "held": "is held", "racing": "goes on"}


def newest_courses(ledger: Ledger) -> list[Course]:
    """Return the courses of the newest finished races and held-out tests.

    The newest cycle comes first, and in each cycle the search before the held-out tests. What
    cannot be replayed is left out, because nothing is decided here.
    """
    found: list[Course] = []
    for end in reversed(list(ledger.read(RaceEnd, newest_first=True, limit=_RACES))):
        start = next(iter(ledger.read(RaceStart, {"id": end.race_id}, limit=1)), None)
        if start is not None and end.blocks:
            with suppress(SelfoptError):
                found += [course for _, course in race_courses(ledger, start)]
    for test in reversed(list(ledger.read(PromptTest, newest_first=True, limit=_RACES))):
        with suppress(SelfoptError):
            found += tested_courses(ledger, test)
    return sorted(found, key=lambda course: (-(course.cycle or 0), course.purpose == "heldout"))


def race_courses(ledger: Ledger, start: RaceStart) -> list[tuple[RaceStanding, Course]]:
    """Return the way of each candidate through a race that goes on or is over, and how it stands.

    Raises EvidenceError when the race cannot be replayed.
    """
    blocks = _blocks(ledger, start.race_id)
    wanted = _spread(len(blocks))
    points: dict[str, list[CoursePoint]] = {entrant.spec_id: [] for entrant in start.entrants}
    last: dict[str, RaceStanding] = {}
    for number, race in enumerate(_steps(ledger, start, blocks)):
        for standing in race.standings(interval=number in wanted):
            if standing.spec_id not in last or last[standing.spec_id].state == "racing":
                points[standing.spec_id].append(_point(race, standing))
            last[standing.spec_id] = standing
    cycle, changes = _cycle(ledger, start.cycle_id)
    measured = ledger.read(Evaluation, {"spec_id": start.baseline_spec_id}, limit=1)
    synthetic = any(evaluation.synthetic for evaluation in measured)
    return [
        (
            standing,
            Course(
                name=_name(ledger, standing.spec_id, changes),
                model=start.model,
                phase=start.phase,
                purpose=start.purpose,
                cycle=cycle,
                ended=f"{_WORDS[standing.state]}{f': {standing_text(standing)}' if standing.why not in ('', 'decided') else ''}",
                log_e_needed=standing.log_e_needed,
                log_f_needed=standing.log_f_needed,
                null_mean=standing.null_mean,
                confidence=standing.confidence,
                points=tuple(points[standing.spec_id]),
                synthetic=synthetic,
            ),
        )
        for standing in _ended(ledger, start, last)
        if points[standing.spec_id]
    ]


def _cycle(ledger: Ledger, cycle_id: str | None) -> tuple[int | None, Mapping[str, str]]:
    """Return a cycle's number and what each of its candidates changes."""
    if cycle_id is None:
        return None, {}
    cycle = next(iter(ledger.read(CycleStart, {"id": cycle_id}, limit=1)), None)
    plan = next(iter(ledger.read(CyclePlan, {"id": cycle_id}, limit=1)), None)
    return cycle.number if cycle is not None else None, plan.changes if plan is not None else {}


def tested_courses(ledger: Ledger, test: PromptTest) -> list[Course]:
    """Return the course of a held-out test, one point per prompt in the order of the test.

    Raises EvidenceError when the test cannot be repeated; empty where its evaluations are missing.
    """
    both = [_measured(ledger, spec_id, test.at) for spec_id in (test.key.candidate_spec_id, test.key.baseline_spec_id)]
    if None in both:
        return []
    ours, theirs = (evaluation for evaluation in both if evaluation is not None)
    wanted = _spread(test.n)
    points = list[CoursePoint]()
    passes = outcomes_of if test.repeats == 1 else shares_of
    for n, (so_far, log_e) in enumerate(prompt_steps(test, (passes(ours), passes(theirs)))):
        interval = None
        if n == test.n:
            interval = test.interval
        elif n in wanted:
            seen = so_far.interval(test.alpha)
            interval = seen.low, seen.high
        points.append(CoursePoint(n, log_e, None, so_far.gain if n else None, interval))
    return [
        Course(
            name=ours.variant,
            model=ours.model,
            phase=ours.phase,
            purpose="heldout",
            cycle=_cycle(ledger, test.cycle_id)[0],
            ended=f"{'passes' if test.passed else 'does not pass'}: {counted(test.wins, 'prompt')} won, {test.losses} lost, E = {math.exp(min(test.log_e, 700.0)):.3g}",
            log_e_needed=test.log_e_needed,
            log_f_needed=None,
            null_mean=test.null_mean,
            confidence=test.confidence,
            points=tuple(points),
            unit="prompts",
            synthetic=ours.synthetic,
        )
    ]


def _measured(ledger: Ledger, spec_id: str, until: str) -> Evaluation | None:
    """Return the newest evaluation of a spec at a time."""
    return next((e for e in ledger.read(Evaluation, {"spec_id": spec_id}, newest_first=True) if e.at <= until), None)


def _ended(ledger: Ledger, start: RaceStart, last: dict[str, RaceStanding]) -> Sequence[RaceStanding]:
    """Return the final standings: those of the race's end, because a cap is no block."""
    end = next(iter(ledger.read(RaceEnd, {"id": start.race_id}, limit=1)), None)
    return end.standings if end is not None else list(last.values())


def _steps(ledger: Ledger, start: RaceStart, blocks: Sequence[RaceBlock]) -> Iterator[Race]:
    """Yield the race at its start, with what its candidates resume, and after each block."""
    earlier = [
        (old, _blocks(ledger, race_id))
        for race_id in dict.fromkeys(name for entrant in start.entrants for name in entrant.resumes)
        for old in ledger.read(RaceStart, {"id": race_id}, limit=1)
    ]
    race = Race.replay(start, (), earlier)
    yield race
    for block in blocks:
        race.absorb(block)
        yield race


def _spread(blocks: int) -> set[int]:
    """Choose the blocks whose intervals are shown: evenly spread, the last included."""
    return {round(i * blocks / _INTERVALS) for i in range(_INTERVALS + 1)} | {1, blocks}


def _point(race: Race, standing: RaceStanding) -> CoursePoint:
    # Before the first pair, all that is known is that a difference of shares lies within 100 points.
    interval = standing.interval if standing.n_pairs else (-1.0, 1.0)
    return CoursePoint(race.trials, standing.log_e, standing.log_f, standing.estimate, interval)


def _blocks(ledger: Ledger, race_id: str) -> list[RaceBlock]:
    return sorted(ledger.read(RaceBlock, {"race_id": race_id}), key=lambda block: block.number)


def _name(ledger: Ledger, spec_id: str, changes: Mapping[str, str]) -> str:
    """Name a candidate by what it changes, or by its variant where the change is not known."""
    spec = next(iter(ledger.read(Spec, {"id": spec_id}, limit=1)), None)
    return changes.get(spec_id) or (spec.variant.name if spec is not None else spec_id)
