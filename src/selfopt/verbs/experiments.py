"""Cycles with their candidates, races and searches, as they run and as they ended."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal
from weakref import WeakKeyDictionary

from selfopt.errors import SelfoptError, StoreError, UsageError
from selfopt.home import ProcessLock
from selfopt.records import (
    CandidateResult,
    Cycle,
    CycleAbandoned,
    CyclePlan,
    CycleStart,
    Decision,
    Ledger,
    Phase,
    PromptTest,
    RaceBlock,
    RaceEnd,
    RaceStanding,
    RaceStart,
    SearchBatch,
    SearchEnd,
    SearchStart,
    Spec,
    VerdictName,
)
from selfopt.report import Course
from selfopt.wiring.app import App
from selfopt.wiring.evidence import ledger_or_none
from selfopt.wiring.holding import holders, model_name

from .courses import race_courses, tested_courses
from .kept_facts import KeptFacts

CycleState = Literal["running", "interrupted", "finished", "given_up"]
CandidateState = Literal["measured", "racing", "promoted", "dropped", "held"]
_STATES: Mapping[VerdictName, CandidateState] = {"promote": "promoted", "hold": "held", "reject": "dropped"}


@dataclass(frozen=True, slots=True)
class CycleCandidate:
    """One candidate of a cycle and what became of it.

    Attributes:
        changed: how it differs from the baseline.
        estimate: its gain over the baseline, in [-1, 1]. interval: of that gain.
        decision: None while nothing was decided.
        evaluation_id: of its measurement, if there is one.
    """

    spec_id: str
    changed: str
    state: CandidateState
    estimate: float | None = None
    interval: tuple[float, float] | None = None
    decision: Decision | None = None
    evaluation_id: str | None = None


@dataclass(frozen=True, slots=True)
class CycleWork:
    """What a cycle did for one model and phase.

    Attributes:
        winner: the variant that was promoted; None if none was.
        baseline_evaluation_id: of the baseline's measurement, if there is one.
    """

    model: str
    phase: Phase
    baseline: str
    baseline_accuracy: float | None
    baseline_evaluation_id: str | None
    candidates: tuple[CycleCandidate, ...]
    winner: str | None = None
    improvement: float | None = None


@dataclass(frozen=True, slots=True)
class Experiment:
    """One cycle of the loop.

    Attributes:
        ended_at: None while it is not finished.
        trials: how many it made; None while it is not finished.
        why: why it was given up.
    """

    cycle_id: str
    number: int
    state: CycleState
    at: str
    ended_at: str | None
    trials: int | None
    targets: tuple[CycleWork, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Experiments:
    """Some cycles, the newest first.

    Attributes:
        total: how many there are.
        running: the commands that measure now, as in `RunningNow.told`.
    """

    cycles: tuple[Experiment, ...]
    total: int
    running: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ToldRace:
    """A race that goes on or is over, with the way of each candidate.

    Attributes:
        end: None while it goes on.
        courses: how each candidate stands, and its way. Empty for a race that cannot be replayed.
        fault: why it cannot.
    """

    start: RaceStart
    end: RaceEnd | None
    courses: tuple[tuple[RaceStanding, Course], ...]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class OpenedSearch:
    """A search that goes on or is over. batches: in their order."""

    start: SearchStart
    end: SearchEnd | None
    batches: tuple[SearchBatch, ...]

    @property
    def requests(self) -> int:
        """How many trials it has made so far."""
        return sum(len(batch.trial_ids) - batch.reused for batch in self.batches) if self.end is None else self.end.requests


@dataclass(frozen=True, slots=True)
class OpenedExperiment:
    """One cycle with everything it did. tests: the ways through tests on held-out prompts."""

    experiment: Experiment
    races: tuple[ToldRace, ...]
    tests: tuple[Course, ...]
    searches: tuple[OpenedSearch, ...]


_STARTS: KeptFacts[CycleStart, CycleStart] = KeptFacts(CycleStart, lambda record: record)


@dataclass(frozen=True, slots=True)
class RunningNow:
    """What measures now: in this home or, where a database holds the ledger, on all machines.

    Attributes:
        told: the command of each process, with its models and its machine where there may be several.
        models: the names under which the records of models are held. None: those of any model.
    """

    told: tuple[str, ...] = ()
    models: frozenset[str] | None = None


def running_now(app: App) -> RunningNow:
    """What measures now. Nothing where the database that knows it can't be asked."""
    if app.settings.ledger is None:
        owner = ProcessLock(app.home.lock).owner()
        return RunningNow(() if owner is None else (owner.purpose,))
    try:
        found = holders(app)
    except StoreError:
        return RunningNow((), frozenset())
    works: dict[tuple[str, int, str], list[str]] = {}
    for one in found:
        kind, _, what = one.name.partition(" ")
        if kind == "model":
            works.setdefault((one.host, one.pid, one.purpose), []).append(what)
    told = (f"{purpose} ({', '.join(models)} by {host})" for (host, _, purpose), models in sorted(works.items()))
    return RunningNow(tuple(told), frozenset(one.name for one in found))


def _runs(app: App, running: RunningNow, start: CycleStart, *, newest: bool) -> bool:
    if running.models is None:
        return newest and bool(running.told)
    return any(model_name(app, target.model) in running.models for target in start.targets)


def experiments(app: App, *, skip: int = 0, most: int = 10) -> Experiments:
    """Cycles, the newest first."""
    ledger, running = ledger_or_none(app), running_now(app)
    starts = sorted(_STARTS.of(ledger).values(), key=lambda start: -start.number) if app.has_ledger else []
    newest = starts[0].cycle_id if starts else None
    told = tuple(
        _experiment(ledger, start, running=_runs(app, running, start, newest=start.cycle_id == newest))
        for start in starts[skip : skip + most]
    )
    return Experiments(told, len(starts), running.told)


def one_experiment(app: App, number: int) -> OpenedExperiment:
    """Everything that a cycle did. UsageError if there is no cycle of this number."""
    ledger = ledger_or_none(app)
    start = next(iter(ledger.read(CycleStart, {"number": number}, newest_first=True, limit=1)), None)
    if start is None:
        raise UsageError(f"no cycle {number} in this home; see its cycles on the page Experiments")
    mine = {"cycle_id": start.cycle_id}
    races = tuple(_race(ledger, race) for race in ledger.read(RaceStart, mine))
    tests: list[Course] = []
    for test in ledger.read(PromptTest, mine):
        with suppress(SelfoptError):  # nothing is decided here
            tests += tested_courses(ledger, test)
    searches = tuple(_search(ledger, search) for search in ledger.read(SearchStart, mine))
    running = _runs(app, running_now(app), start, newest=True)
    return OpenedExperiment(_experiment(ledger, start, running=running), races, tuple(tests), searches)


def _one(ledger: Ledger, kind: type[Cycle] | type[CycleAbandoned] | type[CyclePlan], cycle_id: str) -> object:
    return next(iter(ledger.read(kind, {"id": cycle_id}, limit=1)), None)


def _experiment(ledger: Ledger, start: CycleStart, *, running: bool) -> Experiment:
    cycle = _one(ledger, Cycle, start.cycle_id)
    if isinstance(cycle, Cycle):
        targets = _finished(ledger, cycle)
        return Experiment(start.cycle_id, start.number, "finished", start.at, cycle.ended_at, cycle.trials, targets)
    given_up = _one(ledger, CycleAbandoned, start.cycle_id)
    state: CycleState = "running" if running else "interrupted"
    if isinstance(given_up, CycleAbandoned):
        return Experiment(
            start.cycle_id, start.number, "given_up", start.at, given_up.at, None, _planned(ledger, start), given_up.reason
        )
    return Experiment(start.cycle_id, start.number, state, start.at, None, None, _planned(ledger, start))


def _finished(ledger: Ledger, cycle: Cycle) -> tuple[CycleWork, ...]:
    decisions = {one.decision_id: one for one in ledger.read(Decision, {"cycle_id": cycle.cycle_id})}
    return tuple(
        CycleWork(
            model=target.model,
            phase=target.phase,
            baseline=target.baseline_variant,
            baseline_accuracy=target.baseline_accuracy,
            baseline_evaluation_id=target.baseline_evaluation_id,
            candidates=tuple(_decided(one, decisions.get(one.decision_id)) for one in target.candidates),
            winner=target.winner_variant,
            improvement=target.improvement,
        )
        for target in cycle.targets
    )


def _decided(one: CandidateResult, decision: Decision | None) -> CycleCandidate:
    estimate, interval = (one.improvement, None) if decision is None else (decision.estimate, decision.interval)
    return CycleCandidate(
        one.spec_id, one.changed or one.variant, _STATES[one.verdict], estimate, interval, decision, one.evaluation_id
    )


def _planned(ledger: Ledger, start: CycleStart) -> tuple[CycleWork, ...]:
    """The targets of a cycle that is not finished, by its plan, its races and what it decided so far."""
    plan = _one(ledger, CyclePlan, start.cycle_id)
    changes = plan.changes if isinstance(plan, CyclePlan) else {}
    decided = {one.candidate_spec_id: one for one in ledger.read(Decision, {"cycle_id": start.cycle_id})}
    racing: dict[str, RaceStanding] = {}
    for race in ledger.read(RaceStart, {"cycle_id": start.cycle_id}):
        racing.update((standing.spec_id, standing) for standing, _ in _race(ledger, race).courses)
    targets = plan.targets if isinstance(plan, CyclePlan) else start.targets
    return tuple(
        CycleWork(
            model=target.model,
            phase=target.phase,
            baseline=_variant(ledger, target.baseline_spec_id),
            baseline_accuracy=None,
            baseline_evaluation_id=None,
            candidates=tuple(
                _under_way(ledger, spec_id, changes, decided.get(spec_id), racing.get(spec_id))
                for spec_id in target.candidate_spec_ids
            ),
        )
        for target in targets
    )


def _under_way(
    ledger: Ledger, spec_id: str, changes: Mapping[str, str], decision: Decision | None, standing: RaceStanding | None
) -> CycleCandidate:
    name = changes.get(spec_id) or _variant(ledger, spec_id)
    if decision is not None:
        return CycleCandidate(spec_id, name, _STATES[decision.verdict], decision.estimate, decision.interval, decision)
    if standing is None:
        return CycleCandidate(spec_id, name, "measured")
    return CycleCandidate(spec_id, name, standing.state, standing.estimate, standing.interval if standing.n_pairs else None)


def _variant(ledger: Ledger, spec_id: str) -> str:
    spec = next(iter(ledger.read(Spec, {"id": spec_id}, limit=1)), None)
    return spec_id if spec is None else spec.variant.name


_RACES: WeakKeyDictionary[Ledger, dict[str, tuple[tuple[str, bool], ToldRace]]] = WeakKeyDictionary()
_LOCK = threading.Lock()
_KEPT = 200


def _race(ledger: Ledger, start: RaceStart) -> ToldRace:
    """A race as it stands. It is replayed again only after another block, or its end."""
    end = next(iter(ledger.read(RaceEnd, {"id": start.race_id}, limit=1)), None)
    block = next(iter(ledger.read(RaceBlock, {"race_id": start.race_id}, newest_first=True, limit=1)), None)
    state = "" if block is None else block.block_id, end is not None
    with _LOCK:
        kept = _RACES.setdefault(ledger, {})
        if (known := kept.get(start.race_id)) is not None and known[0] == state:
            return known[1]
    try:
        told = ToldRace(start, end, tuple(race_courses(ledger, start)))
    except SelfoptError as error:
        told = ToldRace(start, end, (), str(error))
    with _LOCK:
        while len(kept) >= _KEPT:
            del kept[next(iter(kept))]
        kept[start.race_id] = state, told
    return told


def _search(ledger: Ledger, start: SearchStart) -> OpenedSearch:
    end = next(iter(ledger.read(SearchEnd, {"id": start.search_id}, limit=1)), None)
    batches: Sequence[SearchBatch] = sorted(ledger.read(SearchBatch, {"search_id": start.search_id}), key=lambda one: one.number)
    return OpenedSearch(start, end, tuple(batches))
