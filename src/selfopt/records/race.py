"""The records of a race: its start, every complete block, its end.

A race is a fold over them (`selfopt.policy.Race`).
"""

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
    """One prompt, put once to one arm."""

    arm: str  # request_id of the arm's spec
    position: int  # place of the trial in the arm's run, from 0
    prompt_id: str

    @property
    def place(self) -> tuple[str, int]:
        """Arm and position, which identify an ask."""
        return self.arm, self.position


RacePurpose = Literal["search", "heldout"]
RaceState = Literal["racing", "promoted", "dropped", "held"]
HoldReason = Literal["ceiling", "cap", "server_faults", "server_changed", "given_up", "other"]
"""Why a race ends with candidates held. `ceiling`: the baseline passes everything. `given_up`: its
cycle was abandoned. `other`: an unknown text of an earlier version."""
RaceEnding = Literal["promoted", "all_dropped"] | HoldReason
StandingReason = Literal["", "decided", "futile", "behind", "another_promoted"] | HoldReason
"""What brought a candidate to its state. `futile`: log_f reached log(1/beta). `behind`: it is
clearly behind the leader. "" while it races."""


class RaceSettings(Record):
    """How a race is run. These settings decide what a race costs and finds, not the chance of a
    false promotion.

    `_small` and `_large` are for small and large suites. The noise of a prompt is its mean squared
    gain, shrunk towards noise_prior with the weight of noise_weight pairs.

    Attributes:
        null_mean: "not better" means a mean difference of at most this. Below 0 it is a
            non-inferiority margin: -0.03 means "not worse than 3 points".
        smallest_gain: the smallest improvement over null_mean that is worth finding.
        beta: the chance of dropping a candidate that improves by smallest_gain.
        small_suite: up to this many prompts, a suite is small and a block is one pass over it.
        repeats, repeat_above: in such a pass, prompts with at least this noise are asked so often.
        block_draws, importance: a block over a large suite draws so many prompts, and noisy ones up
            to `importance` times as often.
        baseline_twice_from: from this many racing candidates on, the baseline answers twice.
        shrink_*, clip: of the centres (control variate).
        drop_z, drop_after_*: drop a candidate that is this many standard errors behind the leader
            after so many pairs. None: 1.2 + 0.36 ln K.
        bets_*, prior_*: the sizes of the bets, and the share of the capital on each.
        max_discards: how often one block may be repeated because of infrastructure faults.
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
        """Check the bets, and that a gain of this size is possible."""
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
    """What evidence is about. Any change makes the evidence void."""

    candidate_spec_id: str
    baseline_spec_id: str
    environment_id: str  # of both; if their environments differ only in the chosen context size, the hash of both
    render_hash: str
    scorer_hash: str
    split: Split

    @cached_property
    def key_id(self) -> str:
        """Hash of all fields."""
        return content_hash("evidence", self.model_dump(mode="json"))

    def differences(self, other: EvidenceKey) -> tuple[str, ...]:
        """Returns the names of the fields that differ."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) != getattr(other, name))


class RaceEntrant(Record):
    """One candidate of a race.

    Attributes:
        request_id: specs with the same request_id share their replies, so a candidate that differs
            only in the parser costs nothing.
        entered_with: K, the number of new candidates in the cycle in which it entered. It keeps K
            and alpha when it was held and goes on in a later race.
        alpha: alpha_t of that cycle.
        known: whether each prompt passes, for a spec whose repeats are copies. None: the spec is
            stochastic and has to be asked.
        resumes: the earlier races whose blocks count for it, oldest first.
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
        """alpha_t / K: the bound on the chance of promoting this candidate falsely."""
        return self.alpha / self.entered_with


class RaceStart(Record, ledger_kind="race_start", id_field="race_id", index_fields=("cycle_id", "family")):
    """A race has begun. Without a `RaceEnd` of the same id it was interrupted, and goes on from its
    blocks.

    Attributes:
        race_id: also the seed of all draws.
        prompt_ids: the prompts of the split, in suite order.
        baseline_request_id, baseline_known: as in `RaceEntrant`.
        family, number: the sequence of decisions that share one alpha, and the place in it, from 1.
        alpha: how much of the shared alpha this race spends; 0 when every candidate resumes.
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
        """Check that every prompt and every spec occurs once, and that known outcomes cover every
        prompt.
        """
        if len(set(self.prompt_ids)) != len(self.prompt_ids):
            raise ValueError("a prompt occurs twice in the split; give every prompt its own id")
        specs = [self.baseline_spec_id, *(e.spec_id for e in self.entrants)]
        if len(set(specs)) != len(specs):
            raise ValueError("a spec runs twice in the race; baseline and candidates have to be different specs")
        for known in (self.baseline_known, *(e.known for e in self.entrants)):
            if known is not None and not known.keys() >= set(self.prompt_ids):
                raise ValueError("outcomes of a deterministic spec are missing for some prompts; measure a whole pass first")
        return self


class RaceBlock(Record, ledger_kind="race_block", id_field="block_id", index_fields=("race_id",)):
    """One complete block with its judgments. A block that an infrastructure fault hit is not stored
    like this.

    Attributes:
        prompts: the prompt of each draw, in the order of the plan.
        weights: the weight of each draw. max_weight: the largest that the plan could have given.
        asked: how often each spec answered each draw.
        passes: how many of these answers passed, per spec and draw.
        trial_ids: the trials behind them, per spec, in the order of the draws.
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
        """Returns the id of a race's block."""
        return f"{race_id}-block-{number:04d}"


class RaceBlockDiscarded(Record, ledger_kind="race_block_discarded", id_field="discard_id", index_fields=("race_id",)):
    """A block that an infrastructure fault hit. It is dropped for all specs and repeated.

    reason: what the check of the endpoint saw. The check looks at the endpoint's health, not at
    replies.
    """

    discard_id: str
    race_id: str
    number: int
    reason: str
    trial_ids: tuple[str, ...] = ()
    at: str


class RaceEvidence(Record):
    """What a race found about one candidate.

    Attributes:
        why: what brought it to its state. detail: which cap or fault it was.
        log_e, log_f: natural logs of the evidence for "better than null_mean" and for "not better
            by smallest_gain". log_e_needed = log(K/alpha_t), log_f_needed = log(1/beta).
        estimate: the mean paired difference.
        interval: its confidence sequence, valid for all candidates and looks at once, at
            `confidence` = 1 - 2 alpha_t. Its lower end passes null_mean exactly when log_e reaches
            log_e_needed.
        n_pairs: number of draws. trials: number of answers of this candidate. entered_with: K.
        more_trials: about how many more trials the race needs to decide; None when nobody can tell.
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
        """Returns what a decision keeps of it."""
        return RaceEvidence(**{name: getattr(self, name) for name in RaceEvidence.model_fields})


class RaceStanding(RaceEvidence):
    """The state of one candidate after a block."""

    spec_id: str
    blocks: int  # how many it took part in


class RaceEnd(Record, ledger_kind="race_end", id_field="race_id", index_fields=("cycle_id", "family")):
    """A race is over."""

    race_id: str
    cycle_id: str | None = None
    family: str
    ended_by: RaceEnding
    detail: str = ""  # which cap or fault it was
    winner_spec_id: str | None
    standings: tuple[RaceStanding, ...]
    blocks: int
    trials: int
    at: str

    _of_an_earlier_form = model_validator(mode="before")(race_end)


class PromptFigures(Record):
    """What one paired outcome on each of n held-out prompts says about two specs.

    Attributes:
        alpha: the level of the test.
        repeats: how many answers of a stochastic spec an outcome is the mean of.
        wins, losses: the prompts that either side passes alone, or more often.
        log_e: natural log of the evidence against "the mean gain is at most null_mean".
        p_mcnemar: for comparison; valid for a single look.
        passed: whether log_e reached log_e_needed = log(1/alpha) at some prompt, in the test's
            order.
    """

    alpha: float = Field(gt=0, le=0.5)
    null_mean: float
    n: int
    repeats: int = Field(default=1, ge=1)
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
    """What a decision keeps of a test on held-out prompts."""

    key_id: str  # of the `EvidenceKey`


class PromptTest(PromptFigures, ledger_kind="prompt_test", id_field="test_id", index_fields=("cycle_id", "family")):
    """The test of two specs on held-out prompts, one paired outcome for each, for the claim "on
    prompts like these".

    Attributes:
        order_seed: the seed of the order of the prompts.
        clustered: the interval over clusters of prompts; valid for a single look.
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
        """Returns what a decision keeps of it."""
        figures = {name: getattr(self, name) for name in PromptFigures.model_fields}
        return PromptEvidence(key_id=self.key.key_id, **figures)
