"""Optuna's tree-structured Parzen estimator over the conditional space (extra `search`)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from selfopt.errors import UsageError
from selfopt.records import Capability, Phase
from selfopt.variants.space import Point, parts_by_name, parts_of, point_of, point_text, possible
from selfopt.variants.written import names_written

from .base import Given, Proposal

_TRIES = 10


def suggested(
    suggest: Callable[[str, list[str]], str],
    capabilities: frozenset[Capability],
    *,
    reads: bool = False,
    phase: Phase = "atomic",
    parts: frozenset[str] | None = None,
) -> Point:
    """A valid point, part by part. A part is asked for only where more than one of its choices goes
    with what was chosen before.

    Args:
        suggest: names one of the choices of a part.
        capabilities: what the server has.
        reads: whether parts that only change how replies are read are chosen too.
        phase: the kind of work.
        parts: the names of the parts that may differ from their defaults; None: all.
    """
    chosen: dict[str, str] = {}
    for part in parts_of(phase):
        if (part.reads and not reads) or (parts is not None and part.name not in parts):
            continue
        allowed = [choice.name for choice in part.choices if choice.needs <= capabilities and _goes(choice.with_, chosen)]
        # Optuna wants the same choices under the same name, so a name tells what is left to choose from.
        name = part.name if len(allowed) == len(part.choices) else f"{part.name}: {' '.join(allowed)}"
        chosen[part.name] = suggest(name, allowed) if len(allowed) > 1 else (allowed or [part.default])[0]
    return point_of(chosen)


class Optuna:
    """Proposes what Optuna's TPE asks for, told of every way to ask with its best reading.

    It is told anew for each proposal, so that a search which is replayed gets the same.

    Raises:
        UsageError: Optuna is not installed.
    """

    def __init__(self) -> None:
        self._optuna = imported()

    def propose(self, given: Given) -> Proposal | None:
        """A way to ask that was not begun. None where ten tries give none."""
        study = self._optuna.create_study(direction="maximize", sampler=sampler(given.rng.randrange(2**31)))
        for standing in sorted(given.archive.ranking(), key=lambda one: point_text(one.point)):
            if names_written(standing.point):
                continue  # Optuna wants to know every choice from the beginning
            study.add_trial(self._told(standing.point, standing.value, given))
        for _ in range(_TRIES):
            trial = study.ask()
            point = suggested(trial.suggest_categorical, given.capabilities, phase=given.phase, parts=given.parts)
            if possible(point, given.capabilities, given.phase) and point_text(point) not in given.archive.looks:
                return Proposal(point)
            study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        return None

    def _told(self, point: Point, value: float, given: Given) -> Any:
        params: dict[str, str] = {}
        kinds: dict[str, Any] = {}

        def known(name: str, allowed: list[str]) -> str:
            part = name.partition(":")[0]
            kinds[name] = self._optuna.distributions.CategoricalDistribution(allowed)
            params[name] = point.get(part, parts_by_name()[part].default)
            return params[name]

        suggested(known, given.capabilities, phase=given.phase, parts=given.parts)
        return self._optuna.trial.create_trial(params=params, distributions=kinds, value=value)


def imported() -> Any:
    """Optuna, silent. UsageError says how to install it."""
    try:
        import optuna
    except ImportError:
        raise UsageError("Optuna is not installed: pip install '.[search]' in selfopt's folder, or pip install optuna") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def sampler(seed: int) -> Any:
    """The TPE sampler for a space in which what is chosen decides on what can be."""
    optuna = imported()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)


def _goes(needed: Any, chosen: dict[str, str]) -> bool:
    """Whether a choice goes with what was chosen before it. What comes after is asked for later."""
    return all(chosen[name] in allowed for name, allowed in needed.items() if name in chosen)
