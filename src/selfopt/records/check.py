"""A check: one verdict about a configuration, with what it rests on.

A check is a fold over its blocks (`selfopt.policy.CheckRace`).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from .base import Prose, Record
from .spec import Environment
from .suite import Phase, Split
from .verdict import Outcome

CheckVerdict = Literal["pass", "fail", "undecided"]
Criterion = Literal["regression", "accuracy", "call_accuracy", "restraint", "must_pass"]
CheckMethod = Literal["exact", "paired", "recorded", "one_arm"]
"""How a figure was decided.

exact: repeats are copies, so that one pass tells all. paired: both configurations were asked in the same
blocks (evidence by betting on their differences).
recorded: against the runs of a recorded state (an exact two-sample test, stratified by prompt). one_arm:
evidence by betting on the present outcomes alone.
"""
UndecidedCause = Literal["cap", "server_faults", "server_changed", "runs_used_up", "recorded_once", "asks_used_up"]
"""Why a check ended without certainty. runs_used_up: every recorded run has met its counterpart.
recorded_once: the state holds one run, because its repeats were copies, and now they are none.
asks_used_up: the policy asks no prompt, or no suite, more often than that."""


class CheckSettings(Record):
    """How a check decides. What it costs and finds depends on these, and not the chance of a false alarm.

    Shares are in [0, 1].

    Attributes:
        alpha: the chance that anything fails although nothing is wrong, over all criteria and looks.
        beta: the chance that a figure passes although it is worse by the whole tolerance.
        max_regression: the loss of accuracy that has to be ruled out before a check passes.
        tolerance: the same for the thresholds: how far below one a figure may be and still pass.
        must_pass_floor: a prompt that must pass fails when its pass rate is shown to be below this.
        must_pass_asks: how often one such prompt is asked at most.
        block_draws, importance: a later block draws so many prompts. It draws undecided ones up
            to `importance` times as often as stable ones.
        stable: the share of prompts that are thought to be stable before anything was asked.
        bets, prior: sizes of the bets on a difference, and the capital on each.
        max_draws: a check asks each side at most so often, and never less than three times the prompts of
            the split.
        max_discards: how often one block may be repeated because of infrastructure faults.
    """

    alpha: float = Field(default=0.01, gt=0, le=0.5)
    beta: float = Field(default=0.05, gt=0, le=0.5)
    max_regression: float = Field(default=0.05, gt=0, lt=1)
    tolerance: float = Field(default=0.05, gt=0, lt=1)
    must_pass_floor: float = Field(default=0.5, gt=0, lt=1)
    must_pass_asks: int = Field(default=40, ge=1, le=1000)
    block_draws: int = Field(default=60, ge=1, le=1000)
    importance: float = Field(default=3.0, ge=1, le=10)
    stable: float = Field(default=0.6, gt=0, lt=1)
    bets: tuple[float, ...] = (0.08, 0.15, 0.25, 0.4)
    prior: tuple[float, ...] = (0.1, 0.3, 0.4, 0.2)
    max_draws: int = Field(default=2000, ge=1, le=1_000_000)
    max_discards: int = Field(default=3, ge=0, le=100)


class CheckSide(Record):
    """One configuration of a check.

    Attributes:
        known: the outcome of each prompt, where repeats are copies. None: it has to be asked.
        recorded: the outcomes of each prompt in a recorded state, oldest first; empty where the side
            is asked.
        evaluation_id: what showed whether repeats are copies; None where nothing could.
    """

    spec_id: str
    request_id: str
    model: str
    variant: str
    environment_id: str
    known: dict[str, Outcome] | None = None
    recorded: dict[str, tuple[Outcome, ...]] = Field(default_factory=dict)
    evaluation_id: str | None = None


class CheckStart(Record, ledger_kind="check_start", id_field="check_id", index_fields=("key",)):
    """A check has begun. Without a `Check` of the same id it was interrupted, and goes on from its blocks.

    Attributes:
        check_id: also the seed of all draws.
        key: the hash of everything that the check is about. Checks with the same one do the same.
        prompt_ids: the prompts of the split, in suite order.
        needs_call: those of them that need a call.
        thresholds: by criterion, for accuracy, call_accuracy and restraint.
        before: the earlier configuration; None where nothing is compared.
    """

    check_id: str
    key: str
    file: str
    model: str
    phase: Phase
    suite: str
    suite_hash: str
    scorer_hash: str
    split: Split
    prompt_ids: tuple[str, ...] = Field(min_length=1)
    needs_call: tuple[str, ...]
    must_pass: tuple[str, ...] = ()
    thresholds: dict[Criterion, float] = Field(default_factory=dict)
    now: CheckSide
    before: CheckSide | None = None
    settings: CheckSettings = CheckSettings()
    at: str

    @model_validator(mode="after")
    def _whole(self) -> CheckStart:
        """Check that every prompt occurs once, and that known and recorded outcomes cover every prompt."""
        wanted = set(self.prompt_ids)
        if len(wanted) != len(self.prompt_ids):
            raise ValueError("a prompt occurs twice in the split; give every prompt its own id")
        for side in (self.now, self.before):
            if side is None:
                continue
            if side.known is not None and not side.known.keys() >= wanted:
                raise ValueError("outcomes of a deterministic spec are missing for some prompts; measure a whole pass first")
            if side.recorded and not side.recorded.keys() >= wanted:
                raise ValueError("outcomes of a recorded state are missing for some prompts; record it again")
        return self


class CheckBlock(Record, ledger_kind="check_block", id_field="block_id", index_fields=("check_id",)):
    """One complete block of a check with its outcomes.

    Attributes:
        prompts: the prompt of each draw, in the order of the plan.
        weights: the weight of each draw. max_weight: the largest that the plan could have given.
        again: prompts that must pass and are asked once more, of the present configuration alone.
        now, before: the outcome of each draw; `now` goes on with those of `again`. Empty for a side
            that is not asked.
        now_trials, before_trials: the trials behind them, in the same order.
    """

    block_id: str
    check_id: str
    number: int = Field(ge=0)
    prompts: tuple[str, ...]
    weights: tuple[float, ...]
    max_weight: float
    again: tuple[str, ...] = ()
    now: tuple[Outcome, ...]
    before: tuple[Outcome, ...] = ()
    now_trials: tuple[str, ...] = ()
    before_trials: tuple[str, ...] = ()
    at: str


class CheckFigure(Record):
    """One criterion of a check. Shares are in [0, 1].

    Attributes:
        value: the present share: the accuracy for `regression`; for `must_pass` the share of those
            prompts that do. None where nothing was asked.
        before: of the earlier configuration. None where nothing is compared. Like `value` the mean of the
            prompts' shares.
        change: now less before, estimated from the differences. Its interval is low to high; both limits
            hold at all looks at once, at a chance of error of `alpha` each.
        low, high: of the change for `regression`, of the value for the others. None where exact or
            unknown.
        threshold: the least share that is asked for; for `regression` the loss that has to be ruled
            out.
        alpha: its share of the chance of a false alarm.
        log_e: natural log of the evidence that it fails, log_f: that it passes. None where exact. For
            `recorded`, log_e is the log of 1 / the p value of the look that came closest, and
            log_e_needed what that look had to show.
        asked: how many answers of the present configuration it rests on.
    """

    criterion: Criterion
    verdict: CheckVerdict
    method: CheckMethod
    value: float | None
    before: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    threshold: float
    alpha: float
    log_e: float | None = None
    log_e_needed: float | None = None
    log_f: float | None = None
    log_f_needed: float | None = None
    asked: int = Field(ge=0)


class CheckReason(Record):
    """Why a check did not pass. One for each criterion that failed or is undecided, the failed ones first.

    Attributes:
        cause: why it is undecided; None where it failed.
        prompt_ids: for `must_pass` the prompts that failed or are undecided; for `regression` those that
            pass less often than before, the largest losses first.
        detail: which cap or fault it was, for people.
    """

    criterion: Criterion
    verdict: Literal["fail", "undecided"]
    cause: UndecidedCause | None = None
    prompt_ids: tuple[str, ...] = ()
    detail: Prose = ""


class CheckedPrompt(Record):
    """One prompt of a check. Outcomes are in the order of time.

    Attributes:
        verdict: of a prompt that must pass. None where the prompt alone decides nothing.
        trial_ids, before_trial_ids: the trials behind the outcomes, as far as this home has them.
    """

    prompt_id: str
    prompt_kind: str
    needs_call: bool
    now: tuple[Outcome, ...]
    before: tuple[Outcome, ...] = ()
    must_pass: bool = False
    verdict: CheckVerdict | None = None
    trial_ids: tuple[str, ...] = ()
    before_trial_ids: tuple[str, ...] = ()


class ComparedWith(Record):
    """What a check compared the present configuration with.

    Attributes:
        asked_again: whether it was asked again; else the recorded outcomes stand for it.
        file: the recorded state, as it was named; "" for a configuration that was named.
        recorded_at: when the state was recorded.
        recorded_accuracy: its accuracy then, where it was asked again and is shown to pass less often now, at
            a chance of error of alpha: what serves it has changed. None else.
    """

    model: str
    variant: str
    spec_id: str
    environment_id: str = ""
    asked_again: bool
    file: str = ""
    recorded_at: str | None = None
    recorded_accuracy: float | None = None


class Check(Record, ledger_kind="check", id_field="check_id", index_fields=("key", "model", "phase")):
    """A check is over.

    Attributes:
        file: the check file, as it was named.
        on_undecided: what an undecided check counts as.
        figures: one for each criterion, regression first.
        rows: one for each prompt of the split, in suite order.
        trials: how many answers it took, of both sides.
        cost: what the call that ended it spent, by the prices of the settings; None where that is not
            known.
        evaluation_ids: what showed that a side's repeats are copies.
    """

    check_id: str
    key: str
    file: str
    verdict: CheckVerdict
    on_undecided: Literal["pass", "fail"] = "fail"
    reasons: tuple[CheckReason, ...] = ()
    figures: tuple[CheckFigure, ...]
    rows: tuple[CheckedPrompt, ...]
    model: str
    phase: Phase
    variant: str
    rule_id: str | None = None
    spec_id: str
    environment_id: str
    suite: str
    suite_hash: str
    scorer_hash: str
    split: Split
    synthetic: bool = False
    compared_with: ComparedWith | None = None
    settings: CheckSettings = CheckSettings()
    blocks: int = Field(ge=0)
    trials: int = Field(ge=0)
    cost: float | None = None
    currency: str = ""
    evaluation_ids: tuple[str, ...] = ()
    began_at: str
    at: str

    @property
    def passes(self) -> bool:
        """Whether the build passes: undecided counts as the check file says."""
        return self.verdict == "pass" or (self.verdict == "undecided" and self.on_undecided == "pass")


class RecordedRow(Record):
    """The outcomes of one prompt in a recorded state, oldest first."""

    prompt_id: str
    outcomes: tuple[Outcome, ...] = Field(min_length=1, max_length=1000)


class RecordedState(Record):
    """What `selfopt check --record` writes: how a configuration did, small enough to be reviewed.

    Attributes:
        variant: its name; variant_hash is of its content, render_hash of what shapes its requests.
        exact: repeats are copies, so that one run tells all.
        evaluation_id, run_ids: what it rests on, in the home where it was recorded.
    """

    model: str
    endpoint: str
    phase: Phase
    suite: str
    suite_hash: str
    scorer_hash: str
    split: Split
    variant: str
    variant_hash: str
    render_hash: str
    spec_id: str
    request_id: str
    environment: Environment
    exact: bool
    evaluation_id: str
    run_ids: tuple[str, ...]
    recorded_at: str
    rows: tuple[RecordedRow, ...] = Field(min_length=1)
