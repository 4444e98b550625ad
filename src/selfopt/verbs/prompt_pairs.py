"""Two evaluations prompt by prompt: what either answered, and how it was judged."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from selfopt.errors import SuiteError, UsageError
from selfopt.ledger import resolve
from selfopt.measure.lookup import find
from selfopt.records import (
    Blob,
    Evaluation,
    Outcome,
    OutcomeRow,
    Prompt,
    ReplyContent,
    Spec,
    Suite,
    Trial,
    Verdict,
)
from selfopt.wiring.app import App
from selfopt.wiring.evidence import require_ledger

from .measured import MeasuredFacts, every_measured

PairFilter = Literal["differs", "wrong", "all"]
"""`differs`: one passes a prompt more often than the other. `wrong`: a run of either did not pass."""
PAIR_FILTERS: tuple[PairFilter, ...] = get_args(PairFilter)
PER_PAGE = 10
MOST_MARKS = 600


@dataclass(frozen=True, slots=True)
class ToldStep:
    """What a model replied in one step of a trial. content: None where no reply came or it was not kept."""

    step: str
    content: ReplyContent | None


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """How one evaluation answered a prompt, shown by one of its trials.

    Attributes:
        letters: the outcome of each run, such as `FFPPPPP`.
        outcome: of the trial that is shown: the first that did not pass, else the first.
        verdict: None where the ledger does not hold it.
    """

    letters: str
    outcome: Outcome
    trial_id: str
    steps: tuple[ToldStep, ...]
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class PromptPair:
    """One prompt and both answers; None where an evaluation has none.

    Attributes:
        prompt: None where the suite is not at hand, or has changed.
    """

    prompt_id: str
    kind: str
    needs_call: bool
    left: ShownAnswer | None
    right: ShownAnswer | None
    prompt: Prompt | None


@dataclass(frozen=True, slots=True)
class PromptMark:
    """One prompt in the list of all that a filter leaves.

    Attributes:
        page: where it is shown. left, right: the share of its runs that passed; None where it was not asked.
    """

    prompt_id: str
    page: int
    left: float | None
    right: float | None


@dataclass(frozen=True, slots=True)
class PromptPairs:
    """Two evaluations and a page of their prompts.

    Attributes:
        counts: how many prompts each filter leaves.
        better, worse, alike: how many of the prompts that both were asked the right one passes more often, less often,
            and as often. one_sided: how many prompts only one of them was asked.
        marks: every prompt that the filter leaves, on whichever page; at most 600.
        page: from 1. pages: at least 1.
        same_prompts: whether both saw the same content of a suite. If not, equal ids may be other prompts.
    """

    left: Evaluation
    right: Evaluation
    counts: dict[PairFilter, int]
    better: int
    worse: int
    alike: int
    one_sided: int
    shown: PairFilter
    marks: tuple[PromptMark, ...]
    page: int
    pages: int
    pairs: tuple[PromptPair, ...]
    same_prompts: bool


@dataclass(frozen=True, slots=True)
class _Rows:
    """A prompt's rows on both sides."""

    prompt_id: str
    left: OutcomeRow | None
    right: OutcomeRow | None

    @property
    def row(self) -> OutcomeRow:
        row = self.left if self.left is not None else self.right
        assert row is not None
        return row

    @property
    def gain(self) -> float | None:
        """How much more often the right one passes; None where only one of them was asked."""
        return None if self.left is None or self.right is None else _share(self.right) - _share(self.left)

    def within(self, shown: PairFilter) -> bool:
        """Whether a filter leaves it."""
        if shown == "wrong":
            return any(set(row.outcomes) - {Outcome.PASS} for row in (self.left, self.right) if row is not None)
        return shown == "all" or bool(self.gain)


def _share(row: OutcomeRow) -> float:
    return 0.0 if not row.outcomes else row.outcomes.count(Outcome.PASS) / len(row.outcomes)


def _share_or_none(row: OutcomeRow | None) -> float | None:
    return None if row is None else _share(row)


def prompt_pairs(app: App, left: str, right: str, *, shown: PairFilter = "differs", page: int = 1) -> PromptPairs:
    """Put two evaluations beside each other, prompt by prompt.

    Args:
        left, right: ids of evaluations, or their beginnings.
        page: from 1; one too large shows the last.

    Raises:
        UsageError: nothing was measured, there is no such evaluation, or both are of different phases.
    """
    require_ledger(app)
    one, other = (resolve(app.ledger, Evaluation, name) for name in (left, right))
    if one.phase != other.phase:
        raise UsageError(
            f"{one.evaluation_id} is of phase {one.phase}, {other.evaluation_id} of {other.phase}; compare one phase"
        )
    sides = [{row.prompt_id: row for row in evaluation.rows} for evaluation in (one, other)]
    rows = [_Rows(name, sides[0].get(name), sides[1].get(name)) for name in dict.fromkeys((*sides[0], *sides[1]))]
    counts = {name: sum(row.within(name) for row in rows) for name in PAIR_FILTERS}
    gains = [row.gain for row in rows if row.gain is not None]
    pages = max(1, -(-counts[shown] // PER_PAGE))
    at = min(max(1, page), pages)
    left_over = [row for row in rows if row.within(shown)]
    wanted = left_over[(at - 1) * PER_PAGE : at * PER_PAGE]
    prompts = _prompts(app, one)
    return PromptPairs(
        left=one,
        right=other,
        counts=counts,
        better=sum(gain > 0 for gain in gains),
        worse=sum(gain < 0 for gain in gains),
        alike=gains.count(0),
        one_sided=len(rows) - len(gains),
        shown=shown,
        marks=tuple(
            PromptMark(row.prompt_id, 1 + place // PER_PAGE, _share_or_none(row.left), _share_or_none(row.right))
            for place, row in enumerate(left_over[:MOST_MARKS])
        ),
        page=at,
        pages=pages,
        pairs=tuple(_pair(app, row, one, other, prompts.get(row.prompt_id)) for row in wanted),
        same_prompts=one.suite_hash == other.suite_hash,
    )


def _pair(app: App, rows: _Rows, left: Evaluation, right: Evaluation, prompt: Prompt | None) -> PromptPair:
    return PromptPair(
        prompt_id=rows.prompt_id,
        kind=rows.row.prompt_kind,
        needs_call=rows.row.needs_call,
        left=answer_of(app, left, rows.left),
        right=answer_of(app, right, rows.right),
        prompt=prompt,
    )


def answer_of(app: App, evaluation: Evaluation, row: OutcomeRow | None) -> ShownAnswer | None:
    """How an evaluation answered a prompt; None where it did not."""
    return None if row is None else shown_answer(app, row, (evaluation.parser_hash, evaluation.scorer_hash))


def shown_answer(app: App, row: OutcomeRow, judges: tuple[str, str]) -> ShownAnswer | None:
    """How a prompt was answered; None where it was not asked. judges: the hashes of parser chain and scorer."""
    if not row.trial_ids:
        return None
    at = next((n for n, outcome in enumerate(row.outcomes) if outcome is not Outcome.PASS), 0)
    trial_id = row.trial_ids[at]
    trial = find(app.ledger, Trial, trial_id)
    verdict = find(app.ledger, Verdict, Verdict.make_id(trial_id, *judges))
    steps = () if trial is None else tuple(ToldStep(item.step, _content(app, item.content)) for item in trial.exchanges)
    return ShownAnswer(row.letters, row.outcomes[at], trial_id, steps, verdict)


def _content(app: App, blob_hash: str | None) -> ReplyContent | None:
    blob = None if blob_hash is None else find(app.ledger, Blob, blob_hash)
    return None if blob is None else ReplyContent.model_validate_json(blob.text)


def _prompts(app: App, evaluation: Evaluation) -> dict[str, Prompt]:
    """The prompts of an evaluation by id; empty where its suite is not at hand, or has changed."""
    suite = suite_of(app, evaluation)
    return {} if suite is None else {prompt.id: prompt for prompt in suite.prompts}


def suite_of(app: App, evaluation: Evaluation) -> Suite | None:
    """The suite that an evaluation saw; None where it is not at hand, or has changed."""
    spec = find(app.ledger, Spec, evaluation.spec_id)
    if spec is None:
        return None
    with contextlib.suppress(SuiteError):
        suite = app.suite_for(spec)
        if suite.content_id() == evaluation.suite_hash:
            return suite
    return None


def comparable_with(app: App, evaluation: Evaluation, most: int = 20) -> Sequence[MeasuredFacts]:
    """Other evaluations of the same prompts, the newest of each spec, the newest first; at most so many."""
    found: dict[str, MeasuredFacts] = {}
    for one in reversed(every_measured(app)):
        if (one.suite_hash, one.split) == (evaluation.suite_hash, evaluation.split) and one.spec_id != evaluation.spec_id:
            found.setdefault(one.spec_id, one)
    return list(found.values())[:most]
