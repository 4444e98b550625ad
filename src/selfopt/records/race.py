"""What a race writes down: its start, every complete block, its end. A race is a fold over these (`selfopt.policy.Race`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from pydantic import Field, model_validator

from .base import Record, content_hash
from .earlier import race_end, race_standing
from .suite import Phase, Split


@dataclass(frozen=True, slots=True)
class Ask:
    """One prompt put once to one arm. arm: the request_id of its spec; position: the trial's place in the arm's run, from 0."""

    arm: str
    position: int
    prompt_id: str

    @property
    def place(self) -> tuple[str, int]:
        """Arm and position."""
        return self.arm, self.position


RacePurpose = Literal["search", "heldout"]
RaceState = Literal["racing", "promoted", "dropped", "held"]
HoldReason = Literal["ceiling", "cap", "server_faults", "server_changed", "given_up", "other"]
"""Why a race ends with candidates held. `ceiling`: the baseline passes everything; `given_up`: its
cycle was abandoned; `other`: a text of an earlier form that nobody knows any more."""
RaceEnding = Literal["promoted", "all_dropped"] | HoldReason
StandingReason = Literal["", "decided", "futile", "behind", "another_promoted"] | HoldReason
"""`futile`: log_f reached log(1/beta); `behind`: clearly behind the leader; "" while it races."""


class RaceSettings(Record):
    """How a race is run. The chance of a false promotion does not depend on any of these, only what a race costs and finds.

    null_mean: "not better" means a mean difference of at most this; below 0 it is a non-inferiority margin (-0.03: "not worse than 3
    points"). smallest_gain: the smallest improvement over null_mean worth finding; beta: the chance to drop one that has it.
    small_suite: up to so many prompts a block is a pass over the suite, in which prompts with a noise of at least `repeat_above` are
    asked `repeats` times; above it `block_draws` prompts are drawn, noisy ones up to `importance` times as often. The noise of a
    prompt is its mean squared gain, drawn towards noise_prior as by noise_weight pairs. baseline_twice_from: with so many
    candidates alive the baseline answers twice. shrink, clip: of the centres (control variate). drop_z: a candidate is
    dropped when it lies this many standard errors behind the leader after `drop_after` pairs; None: 1.2 + 0.36 ln K.
    bets, prior: sizes of bets and the capital on each. max_discards: how often one block may be repeated for infrastructure faults.
    *_small, *_large: for small and large suites.
    """

    null_mean: float = Field(default=0.0, gt=-1, lt=1)
    smallest_gain: float = Field(default=0.05, gt=0, le=1)
    beta: float = Field(default=0.1, gt=0, lt=1)
    small_suite: int = Field(default=40, ge=0, le=400)
    repeats: int = Field(default=2, ge=1, le=10)
    block_draws: int = Field(default=25, ge=1, le=400)
    repeat_above: float = Field(default=0.1, ge=0)
    importance: float = Field(default=3.0, ge=1, le=10)
    noise_prior: float = Field(default=0.25, gt=0, le=4)
    noise_weight: float = Field(default=2.0, gt=0)
    baseline_twice_from: int = Field(default=4, ge=1)
    shrink_small: float = Field(default=2.0, gt=0)
    shrink_large: float = Field(default=4.0, gt=0)
    clip: float = Field(default=0.7, ge=0, lt=1)
    drop_z: float | None = Field(default=None, gt=0)
    drop_after_small: int = Field(default=36, ge=1)
    drop_after_large: int = Field(default=60, ge=1)
    bets_small: tuple[float, ...] = (0.1, 0.2, 0.4, 0.7, 1.2)
    prior_small: tuple[float, ...] = (0.02, 0.1, 0.3, 0.38, 0.2)
    bets_large: tuple[float, ...] = (0.1, 0.18, 0.28, 0.45, 0.8)
    prior_large: tuple[float, ...] = (0.1, 0.25, 0.3, 0.25, 0.1)
    max_discards: int = Field(default=3, ge=0, le=100)

    @model_validator(mode="after")
    def _usable(self) -> RaceSettings:
        """A gain beyond all prompts cannot be found; bets have to be bets."""
        for bets, prior in ((self.bets_small, self.prior_small), (self.bets_large, self.prior_large)):
            ascending = all(low < high for low, high in zip((0.0, *bets), bets, strict=False))
            if not bets or len(bets) != len(prior) or not ascending or min(prior) <= 0 or abs(sum(prior) - 1) > 1e-6:
                raise ValueError(
                    f"bets {bets} with prior {prior}: need ascending bets above 0, and as many shares above 0 that sum to 1"
                )
        if self.null_mean + self.smallest_gain >= 1:
            raise ValueError(
                f"null_mean {self.null_mean} and smallest_gain {self.smallest_gain} sum to 1 or more; give smaller ones"
            )
        return self


class EvidenceKey(Record):
    """What evidence is about. Any change voids what was gathered. environment_id: the one both were measured in; where the two
    observations differ only in what is chosen (the context size), the hash of both."""

    candidate_spec_id: str
    baseline_spec_id: str
    environment_id: str
    render_hash: str
    scorer_hash: str
    split: Split

    @cached_property
    def key_id(self) -> str:
        """Hash of all of it."""
        return content_hash("evidence", self.model_dump(mode="json"))

    def differences(self, other: EvidenceKey) -> tuple[str, ...]:
        """The names of the fields that differ."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) != getattr(other, name))


class RaceEntrant(Record):
    """One candidate of a race.

    request_id: specs with equal ones share their replies, so that a candidate which differs in the parser only costs nothing.
    known: whether each prompt passes, for a spec whose repeats are copies; None: stochastic, its trials are asked for.
    entered_with: K, the number of new candidates of the cycle in which it entered; alpha: that cycle's alpha_t. Both stay with a held
    candidate that goes on in a later race, and resumes names the races whose blocks it brings along, oldest first.
    """

    spec_id: str
    request_id: str
    key: EvidenceKey
    entered_with: int = Field(ge=1)
    alpha: float = Field(gt=0, le=0.5)
    known: dict[str, bool] | None = None
    resumes: tuple[str, ...] = ()

    @property
    def level(self) -> float:
        """alpha_t / K: the chance of promoting this candidate falsely is at most this."""
        return self.alpha / self.entered_with


class RaceStart(Record, ledger_kind="race_start", id_field="race_id", index_fields=("cycle_id", "family")):
    """A race has begun; with no `RaceEnd` of the same id it was interrupted and goes on from its blocks.

    race_id also seeds what is drawn. prompt_ids: the prompts of the split, in suite order. baseline_*: as of `RaceEntrant`.
    family, number: the sequence of decisions that share one alpha, and which of them this is (1, 2, ...); alpha: what it spends of
    it; 0 where every candidate resumes.
    """

    race_id: str
    cycle_id: str | None = None
    model: str
    phase: Phase
    purpose: RacePurpose = "search"
    suite_hash: str
    split: Split
    prompt_ids: tuple[str, ...] = Field(min_length=1)
    baseline_spec_id: str
    baseline_request_id: str
    baseline_known: dict[str, bool] | None = None
    entrants: tuple[RaceEntrant, ...] = Field(min_length=1)
    settings: RaceSettings = RaceSettings()
    family: str
    number: int = Field(ge=1)
    alpha: float = Field(ge=0, le=0.5)
    at: str

    @model_validator(mode="after")
    def _whole(self) -> RaceStart:
        """Every prompt once, every spec once, and known outcomes for every prompt or for none."""
        if len(set(self.prompt_ids)) != len(self.prompt_ids):
            raise ValueError("a prompt stands in the split twice; give every prompt its own id")
        specs = [self.baseline_spec_id, *(e.spec_id for e in self.entrants)]
        if len(set(specs)) != len(specs):
            raise ValueError("a spec runs twice in the race; baseline and candidates have to be different specs")
        for known in (self.baseline_known, *(e.known for e in self.entrants)):
            if known is not None and not known.keys() >= set(self.prompt_ids):
                raise ValueError("outcomes of a deterministic spec are missing for some prompts; measure a whole pass first")
        return self


class RaceBlock(Record, ledger_kind="race_block", id_field="block_id", index_fields=("race_id",)):
    """One complete block, judged. Blocks hit by an infrastructure fault are not among these.

    prompts: the prompt of each draw, in the order of the plan; weights: one each; max_weight: the largest that the plan could have
    given. asked: how often each spec answered each draw; passes: how many of these answers passed, per draw. trial_ids: per spec the
    trials behind them, in the order of the draws.
    """

    block_id: str
    race_id: str
    number: int = Field(ge=0)
    prompts: tuple[str, ...]
    weights: tuple[float, ...]
    max_weight: float
    asked: dict[str, int]
    passes: dict[str, tuple[int, ...]]
    trial_ids: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    at: str

    @staticmethod
    def make_id(race_id: str, number: int) -> str:
        """The id of a race's block."""
        return f"{race_id}-block-{number:04d}"


class RaceBlockDiscarded(Record, ledger_kind="race_block_discarded", id_field="discard_id", index_fields=("race_id",)):
    """A block that an infrastructure fault hit, dropped for all specs and repeated. reason: what the outcome-blind check of the
    endpoint saw (its health, not its replies)."""

    discard_id: str
    race_id: str
    number: int
    reason: str
    trial_ids: tuple[str, ...] = ()
    at: str


class RaceEvidence(Record):
    """What a race found out about one candidate.

    Attributes:
        why: what brought it to its state; detail: which cap or fault, where that was it.
        log_e, log_f: natural logs of the evidence for "better than null_mean" and for "not better
            by smallest_gain"; log_e_needed = log(K/alpha_t), log_f_needed = log(1/beta).
        estimate: the mean paired difference. interval: its confidence sequence, for all candidates
            and looks at once, at `confidence` = 1 - 2 alpha_t; its lower end passes null_mean
            exactly when log_e reaches log_e_needed.
        n_pairs: draws. trials: answers of this candidate. entered_with: K.
        more_trials: about how many more trials of the race would decide; None: not foreseeable.
    """

    key_id: str
    state: RaceState
    why: StandingReason = ""
    detail: str = ""
    log_e: float
    log_e_needed: float
    log_f: float
    log_f_needed: float
    null_mean: float
    estimate: float | None
    interval: tuple[float, float] | None = None
    confidence: float
    n_pairs: int
    trials: int
    entered_with: int
    alpha: float
    level: float
    more_trials: int | None = None

    _of_an_earlier_form = model_validator(mode="before")(race_standing)

    def evidence(self) -> RaceEvidence:
        """What a decision keeps of it."""
        return RaceEvidence(**{name: getattr(self, name) for name in RaceEvidence.model_fields})


class RaceStanding(RaceEvidence):
    """Where one candidate stands after a block. blocks: those that it took part in."""

    spec_id: str
    blocks: int


class RaceEnd(Record, ledger_kind="race_end", id_field="race_id", index_fields=("cycle_id", "family")):
    """A race is over. ended_by: what ended it; detail: which cap or fault, where that was it."""

    race_id: str
    cycle_id: str | None = None
    family: str
    ended_by: RaceEnding
    detail: str = ""
    winner_spec_id: str | None
    standings: tuple[RaceStanding, ...]
    blocks: int
    trials: int
    at: str

    _of_an_earlier_form = model_validator(mode="before")(race_end)


class PromptFigures(Record):
    """What one paired outcome for each of n held-out prompts says of two deterministic specs.

    Attributes:
        log_e: natural log of the evidence against "the mean gain is at most null_mean".
        p_mcnemar: shown beside it, for one look.
        passed: whether log_e reached log_e_needed = log(1/alpha) at some prompt, in the test's order.
    """

    alpha: float = Field(gt=0, le=0.5)
    null_mean: float
    n: int
    wins: int
    losses: int
    log_e: float
    log_e_needed: float
    estimate: float
    interval: tuple[float, float]
    confidence: float
    p_mcnemar: float
    passed: bool


class PromptEvidence(PromptFigures):
    """What a decision keeps of a test on held-out prompts. key_id: of what it is about."""

    key_id: str


class PromptTest(PromptFigures, ledger_kind="prompt_test", id_field="test_id", index_fields=("cycle_id", "family")):
    """The held-out test of two deterministic specs, under the claim "on prompts like these".

    order_seed: what the order of the prompts was drawn with. clustered: the interval over clusters
    of prompts, for one look.
    """

    test_id: str
    cycle_id: str | None = None
    key: EvidenceKey
    order_seed: str
    family: str
    number: int = Field(ge=1)
    clustered: tuple[float, float] | None = None
    clusters: int = 0
    at: str

    def evidence(self) -> PromptEvidence:
        """What a decision keeps of it."""
        figures = {name: getattr(self, name) for name in PromptFigures.model_fields}
        return PromptEvidence(key_id=self.key.key_id, **figures)
