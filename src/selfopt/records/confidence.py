"""How sure a model's answer is, and from which confidence on it may be served."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from .base import Record, content_hash
from .spec import Environment
from .suite import Phase
from .variant import Variant

SignalName = Literal["reply", "choice", "least_value", "mean_value", "backed", "covered", "fits", "agrees", "unrepaired"]
_OF_LOGPROBS: tuple[SignalName, ...] = ("reply", "choice", "least_value", "mean_value")
Share = Annotated[float, Field(ge=0, le=1)]
BoundClaim = Literal["these_tools", "unseen_tools"]
"""What a bound is about. `these_tools`: prompts like those of the calibration, of the same tool sets;
the unit is the prompt. `unseen_tools`: tool sets like those of the calibration; the unit is the tool
set. The second never follows from the first.
"""


@dataclass(frozen=True, slots=True)
class Signals:
    """What tells a right answer from a wrong one, seen in one reply. The higher, the surer.

    None stands for what a reply does not have or a server does not give.

    Attributes:
        calls: whether the answer calls a tool.
        reply: the sum of the log probabilities of the whole reply, in nats.
        choice: the log probability of the choice: of the tool's name, or of no call, in nats. The
            least of all calls. Calibrated where the variant picks first.
        least_value, mean_value: of the log probabilities of the tokens of argument values, in nats.
        backed: the share of required arguments that the conversation backs.
        covered: the share of the telling words of the request that the called tool's name,
            descriptions and choices have. The least of all calls.
        fits: 1 if all arguments fit their schemas as they came, else 0.
        agrees: 1 if a second way of asking gives the same calls, else 0.
        unrepaired: 1 if no call was changed after it was read, else 0.
        unread: whether the answer holds a call that nothing reads, and none that is read.
        cut: whether the reply ran into a limit of tokens before it called anything.
    """

    calls: bool
    reply: float | None = None
    choice: float | None = None
    least_value: float | None = None
    mean_value: float | None = None
    backed: float | None = None
    covered: float | None = None
    fits: float | None = None
    agrees: float | None = None
    unrepaired: float | None = None
    unread: bool = False
    cut: bool = False


class SignalTerm(Record):
    """What one signal adds to the log odds that an answer is right.

    A value is clipped to [low, high] and moved to [0, 1]; then it counts `weight` times. A weight is
    never negative, so that a higher signal never makes an answer less sure.

    Attributes:
        unknown: what counts in its place where the reply does not have the signal, in [0, 1].
    """

    signal: SignalName
    low: float
    high: float
    weight: float = Field(ge=0)
    unknown: Share

    def adds(self, value: float | None) -> float:
        """What a value of the signal adds, in log odds: from 0 to `weight`."""
        if value is None or math.isnan(value):
            return self.weight * self.unknown
        if self.high <= self.low:
            return self.weight * (value >= self.high)
        return self.weight * min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


class ConfidenceTerms(Record):
    """The log odds that an answer is right: an intercept and a sum over signals."""

    intercept: float
    terms: tuple[SignalTerm, ...] = ()


class ConfidenceModel(Record):
    """From the signals of an answer to the probability that it is right: its confidence.

    It rises with each signal. Answers with calls and answers without have terms of their own.
    """

    calls: ConfidenceTerms
    text: ConfidenceTerms

    def confidence(self, signals: Signals) -> float:
        """The confidence of an answer, in [0, 1]."""
        mine = self.calls if signals.calls else self.text
        odds = mine.intercept
        for term in mine.terms:
            odds += term.adds(getattr(signals, term.signal))
        return 1 / (1 + math.exp(-max(-700.0, min(700.0, odds))))

    def confidences(self, signals: Signals) -> tuple[float, float]:
        """The least and the greatest confidence of an answer whose agreement with a second way of
        asking is still open: it may agree or not, or stay unknown.
        """
        found = [self.confidence(replace(signals, agrees=agrees)) for agrees in (0.0, 1.0, None)]
        return min(found), max(found)

    def tells(self, signals: Signals) -> bool:
        """Whether the confidence of an answer can be told.

        Not where the answer holds a call that nothing reads, or was cut before any call, which is
        always wrong; nor where a term reads log probabilities and none came. Such an answer is never
        served.
        """
        observed = any(getattr(signals, name) is not None for name in _OF_LOGPROBS)
        return not signals.unread and not signals.cut and (observed or not self.needs_logprobs)

    def serves(self, signals: Signals, least: float) -> bool:
        """Whether an answer is served by a threshold, live and where it was measured."""
        return self.tells(signals) and self.confidence(signals) >= least

    @cached_property
    def signals(self) -> frozenset[SignalName]:
        """The signals that it reads."""
        return frozenset(term.signal for terms in (self.calls, self.text) for term in terms.terms if term.weight)

    @cached_property
    def needs_logprobs(self) -> bool:
        """Whether a term reads log probabilities."""
        return not self.signals.isdisjoint(_OF_LOGPROBS)


class ServedBound(Record):
    """At most a share of what is served is wrong, as far as the calibration shows.

    Wrong is every outcome but pass.

    Attributes:
        max_bad_share: the share that was asked for.
        confidence: the probability with which the bound holds: 1 - delta.
        n: prompts of the calibration; for the claim on unseen tools they count by tool set.
        tool_sets: tool sets among them.
        served, bad: prompts of these whose answers are as sure as the threshold, and the wrong ones
            among them.
        upper: the upper limit of the bad share among the served at this confidence.
        sets_low, sets_high: the 95 % interval of the bad share among the served over tool sets, for
            comparison. None with fewer than two sets, or where sets do not differ.
    """

    claim: BoundClaim
    max_bad_share: Share
    confidence: Share
    n: int
    tool_sets: int
    served: int
    bad: int
    upper: Share
    sets_low: Share | None = None
    sets_high: Share | None = None


SERVED_FACTS = ("digest", "quantization", "template_hash", "engine", "engine_build")
"""What makes another server of a model another environment, as far as the key of evidence goes."""
HELD_FACTS = (*SERVED_FACTS, "embedding_digest")
"""What a threshold is held against. The key leaves the embedding model out, so that keys from before it stay as they are."""


class SecondWay(Record):
    """Another way in which the same model is asked, so that its calls can be compared with the first ones.

    Attributes:
        variant: how it is asked, and how its replies are read.
        spec_id: what was measured so.
    """

    variant: Variant
    spec_id: str


def evidence_key(spec_id: str, environment: Environment, second: SecondWay | None = None) -> str:
    """The key of evidence on a threshold: of the spec that was measured, of what served it, and of the second way
    of asking, if its calls were compared.
    """
    key = [spec_id, [getattr(environment, name) for name in SERVED_FACTS]]
    return content_hash("served", key if second is None else [*key, [second.spec_id, second.variant.variant_hash]])


class ServeWhen(Record):
    """From which confidence on a model's answer is served. A less sure one goes to the fallback.

    Attributes:
        calibration_id: the record of the ledger with the trials behind it.
        least: the confidence from which on an answer is served.
        fitted_on, calibrated_on: the suites, by name and hash.
        evidence_key: of spec, environment and second way (`evidence_key`). Where it does not hold,
            everything escalates.
        environment: the one of the calibration, so that what differs can be named, and so that what
            a server hides before it has loaded the model speaks against nothing.
        tool_sets: those of the calibration, by content name (`tool_set_name`); empty where they are
            not known. Where the bound is about these tools, requests with others escalate.
        second: the way of asking that the calls of the calibration were compared with; None where
            they were not.
        retry: whether a call whose arguments do not fit is asked for once more, with the complaint.
        sticky: whether a conversation that escalated stays with the stronger model.
        parallel: whether both models are asked at once.
    """

    calibration_id: str
    model: ConfidenceModel
    least: Share
    bound: ServedBound
    fitted_on: str
    calibrated_on: str
    evidence_key: str
    environment: Environment | None = Field(default=None, exclude_if=lambda environment: environment is None)
    tool_sets: tuple[str, ...] = Field(default=(), exclude_if=lambda tool_sets: not tool_sets)
    second: SecondWay | None = Field(default=None, exclude_if=lambda second: second is None)
    retry: bool = False
    sticky: bool = True
    parallel: bool = False

    @property
    def compares(self) -> bool:
        """Whether the confidence of an answer depends on its agreement with a second way of asking."""
        return "agrees" in self.model.signals

    @property
    def only_sets(self) -> tuple[str, ...]:
        """The tool sets that the bound is about; empty where it is about others, too, or they are not known."""
        return self.tool_sets if self.bound.claim == "these_tools" else ()


class CurvePoint(Record):
    """What a threshold serves of some prompts, and how much of that is wrong."""

    least: Share
    served: int
    bad: int
    upper: Share


class Calibration(Record, ledger_kind="calibration", id_field="calibration_id", index_fields=("model", "phase", "spec_id")):
    """How a confidence was fitted, which threshold holds, and the trials that show it.

    Attributes:
        fallback: the stronger model.
        fitted_on, calibrated_on: the suites, by name and hash.
        fit_trials, calibration_trials: the ids of the trials, fit and calibration apart: no prompt is in both.
        curve: of the calibration prompts, the strictest threshold first.
        serve_when: the rule's part; None where no threshold holds.
        least_feasible: the smallest share of bad answers that some threshold keeps; None if there is none.
        prompts_needed: how many more prompts it would take for the share that was asked for, as far
            as the figures seen tell; None where no number would do.
        shares: of each tool set, by its content name, how many prompts were served and how many of
            these were bad.
        set_names: what the suites call these tool sets, by content name.
        cycle_id: the cycle that made it; None where a person asked for it.
        second: the way of asking that the calls were compared with; None where they were not.
        second_trials: the ids of its trials, of fit and calibration.
    """

    calibration_id: str
    model: str
    phase: Phase
    spec_id: str
    environment_id: str
    fallback: str | None = None
    fitted_on: str
    calibrated_on: str
    fit_trials: tuple[str, ...]
    calibration_trials: tuple[str, ...]
    claim: BoundClaim
    max_bad_share: Share
    confidence: Share
    confidence_model: ConfidenceModel
    curve: tuple[CurvePoint, ...]
    serve_when: ServeWhen | None
    least_feasible: float | None
    prompts_needed: int | None
    shares: Mapping[str, tuple[int, int]] = Field(default_factory=dict)
    set_names: Mapping[str, str] = Field(default_factory=dict, exclude_if=lambda names: not names)
    created_at: str
    cycle_id: str | None = Field(default=None, exclude_if=lambda name: name is None)
    second: SecondWay | None = Field(default=None, exclude_if=lambda second: second is None)
    second_trials: tuple[str, ...] = Field(default=(), exclude_if=lambda trials: not trials)
