"""The rivals: random search, Optuna's TPE with a fixed number of prompts a trial, and GEPA alone.

Each asks every point on all search prompts, as its users do, and picks the best by the same
objective. All may judge every reading of what they asked for nothing where it says so.
"""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Mapping, Sequence
from typing import Any

from selfopt.search.archive import reading_text
from selfopt.search.marks import ReplyMark
from selfopt.search.proposers.tpe import imported, sampler
from selfopt.variants.space import Point, point_of, point_text

from .asking import Asking, SpentError


class _Best:
    """The best point by its value on the search prompts, noted as it gets better."""

    def __init__(self, asking: Asking) -> None:
        self._asking, self._value = asking, float("-inf")

    def seen(self, value: float, point: Point) -> None:
        """Take what was seen of a point."""
        if value > self._value:
            self._value = value
            self._asking.picked(point)


def random_ways(asking: Asking) -> None:
    """Ways to ask at random, each with its best reading. The first is the start, as for all."""
    rng, best = random.Random(asking.seed), _Best(asking)
    space = asking.room.ways()
    rng.shuffle(space)
    with contextlib.suppress(SpentError):
        for way in ({}, *space):
            best.seen(*asking.best(way, asking.marks(way, asking.prompts)))


def random_points(asking: Asking) -> None:
    """Points at random, readings included."""
    rng, best, space = random.Random(asking.seed), _Best(asking), asking.room.ways()
    known: set[str] = set()
    with contextlib.suppress(SpentError):
        for _ in range(100 * asking.budget):
            point = rng.choice(asking.room.readings(rng.choice(space)))
            if point_text(point) in known:
                continue
            known.add(point_text(point))
            marks = asking.marks(point, asking.prompts)[reading_text(point)]
            best.seen(asking.objective.value(marks.values()), point)


def optuna_ways(asking: Asking) -> None:
    """Optuna over the ways to ask, each with its best reading."""
    _optuna(asking, reads=False)


def optuna_points(asking: Asking) -> None:
    """Optuna over the points, readings included."""
    _optuna(asking, reads=True)


def _optuna(asking: Asking, *, reads: bool) -> None:
    study, best = imported().create_study(direction="maximize", sampler=sampler(asking.seed)), _Best(asking)
    with contextlib.suppress(SpentError):
        best.seen(*asking.best({}, asking.marks({}, asking.prompts)))
        for _ in range(3 * asking.budget // len(asking.prompts)):  # a point that comes again costs nothing
            trial = study.ask()
            point = asking.room.suggested(trial.suggest_categorical, reads=reads)
            if point is None:
                study.tell(trial, state=imported().trial.TrialState.FAIL)
                continue
            marks = asking.marks(point, asking.prompts)
            value, point = (
                (asking.objective.value(marks[reading_text(point)].values()), point) if reads else asking.best(point, marks)
            )
            best.seen(value, point)
            study.tell(trial, value)


class _Adapter:
    """The world as GEPA sees it: a candidate is the text of a point, a score is a good reply."""

    propose_new_texts: Any = None

    def __init__(self, asking: Asking) -> None:
        self._asking, self._rng, self._best = asking, random.Random(asking.seed), _Best(asking)
        self.propose_new_texts = self._reflected

    def evaluate(self, batch: Sequence[str], candidate: Mapping[str, str], capture_traces: bool = False) -> Any:
        """Scores by prompt. What was asked on all prompts may be picked, with its best reading."""
        from gepa.core.adapter import EvaluationBatch

        point = _read(candidate["point"])
        all_marks = self._asking.marks(point, batch)
        marks: Mapping[str, ReplyMark] = all_marks[reading_text(point)]
        if len(batch) == len(self._asking.prompts):
            self._best.seen(*self._asking.best(point, all_marks))
        scores = [float(marks[one].good) for one in batch]
        traces = list(zip(batch, scores, strict=True)) if capture_traces else None
        return EvaluationBatch(outputs=list(batch), scores=scores, trajectories=traces)

    def make_reflective_dataset(self, candidate: Mapping[str, str], evaluated: Any, components: Sequence[str]) -> Any:
        """The prompts that failed."""
        return {name: [{"prompt": one} for one, score in evaluated.trajectories if not score] for name in components}

    def _reflected(self, candidate: Mapping[str, str], dataset: Any, components: Sequence[str]) -> dict[str, str]:
        failed = [row["prompt"] for row in dataset["point"]]
        found = self._asking.world.reflect(_read(candidate["point"]), failed, self._rng)
        return {"point": point_text(found[0]) if found is not None else candidate["point"]}


def gepa_alone(asking: Asking) -> None:
    """GEPA with the scripted reflection model, minibatches of three as by default."""
    import gepa

    adapter, before = _Adapter(asking), [-1, 0]

    def stuck(_: Any) -> bool:  # it goes on for ever where every child was seen before, or nothing is left to ask
        before[:] = [asking.spent, before[1] + 1 if asking.spent == before[0] else 0]
        return before[1] > 200 or asking.spent == asking.budget

    with contextlib.suppress(SpentError), contextlib.redirect_stdout(io.StringIO()):
        gepa.optimize(
            seed_candidate={"point": point_text({})},
            trainset=list(asking.prompts),
            valset=list(asking.prompts),
            adapter=adapter,
            stop_callbacks=stuck,
            seed=asking.seed,
            reflection_minibatch_size=3,
        )


def _read(text: str) -> Point:
    return point_of({} if text == "native" else dict(part.split("=", 1) for part in text.split()))
