"""Hot failures: the prompts that keep failing, whatever spec or suite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from selfopt.records import Evaluation, HotFailure, Outcome, Phase

_MIN_SHARE = 0.5
_MOST = 10


@dataclass(slots=True)
class _Tally:
    kind: str
    outcomes: Counter[Outcome] = field(default_factory=Counter)

    @property
    def failures(self) -> int:
        return self.outcomes.total() - self.outcomes[Outcome.PASS]


def hot_failures(evaluations: Sequence[Evaluation], window: int) -> tuple[HotFailure, ...]:
    """Prompts that failed in half or more of their trials over the last `window` evaluations of a model and phase; at most
    ten each, the largest share first. Prompts of different suite contents are counted apart."""
    groups: dict[tuple[str, Phase], list[Evaluation]] = {}
    for evaluation in evaluations:
        groups.setdefault((evaluation.model, evaluation.phase), []).append(evaluation)
    return tuple(hot for (model, phase), group in groups.items() for hot in _hottest(model, phase, group[-max(1, window) :]))


def _hottest(model: str, phase: Phase, evaluations: Sequence[Evaluation]) -> list[HotFailure]:
    tallies: dict[tuple[str, str], _Tally] = {}
    for evaluation in evaluations:
        for row in evaluation.rows:
            tally = tallies.setdefault((evaluation.suite_hash, row.prompt_id), _Tally(row.prompt_kind))
            tally.outcomes.update(row.outcomes)
    hot = [
        HotFailure(
            model=model,
            phase=phase,
            prompt_id=prompt_id,
            prompt_kind=tally.kind,
            failures=tally.failures,
            of=tally.outcomes.total(),
            outcomes={o.value: k for o, k in sorted(tally.outcomes.items()) if o is not Outcome.PASS},
        )
        for (_, prompt_id), tally in tallies.items()
        if tally.failures > 0 and tally.failures / tally.outcomes.total() >= _MIN_SHARE
    ]
    return sorted(hot, key=lambda h: (-h.failures / h.of, -h.failures))[:_MOST]
