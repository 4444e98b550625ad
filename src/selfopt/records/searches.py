"""Searches: what one set out from, and what it found."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Record
from .suite import Phase, Split
from .written import EditRefusal

Capability = Literal["tools", "grammar", "json_schema", "logprobs", "temperature", "thinking", "embeddings"]
"""What must be there for a part of a variant: tools of the server's own, limits on the output, the log
probabilities of its replies, a temperature, thinking, or an embedding model in the settings.
"""


SearchProposer = Literal["failures", "reflection"]
"""A proposer that is made for a search: worked examples from failed prompts, or a model's advice."""

WayEnd = Literal["ranked", "below_best", "below_floor", "over_limit", "cut_off", "not_asked"]
"""How a way to ask ended in a search.

ranked: it was asked on all prompts, and meets the floor. below_best: it was not among the best third
of those that came as far. below_floor: asked on all prompts, its best reading is thought to lack
restraint. over_limit: it takes longer, or more tokens, than it may. cut_off: the search ended before
it climbed on. not_asked: no reply came.
"""


class SearchObjective(Record):
    """What a search looks for. The figures are those of `selfopt.search.Objective`.

    Attributes:
        restraint: the floor, of the policy.
    """

    restraint: float
    call_weight: float = 0.0
    latency_weight: float = 0.0
    tokens_weight: float = 0.0
    max_latency_s: float | None = None
    max_tokens: int | None = None


class SearchStart(Record, ledger_kind="search_start", id_field="search_id", index_fields=("cycle_id", "model", "phase")):
    """The beginning of a search for what a cycle tries.

    The search is repeated from this record and the trials of its batches, so that a killed one goes
    on where it was. Batch `n` has the group `SEARCH_ID/n`.

    Attributes:
        prompt_ids: the prompts of the search split, in the order in which ways to ask climb.
        capabilities: what the server has.
        start: the points that come first.
        most_requests: how many trials the search may make.
        beside: further proposers beside those that are registered, by name.
        reflection: the model that is asked for the proposer `reflection`.
        reflection_backend: who writes its questions.
        questions: how often it is asked at most.
        fresh: whether it asks anew what the ledger already holds a reply to.
        objective: what it looks for. None, as in searches of before: accuracy at the floor of the
            policy.
        priors: points that were promoted for other models, the newest first.
        synthetic: a model or a template wrote the prompts.
    """

    search_id: str
    cycle_id: str
    model: str
    phase: Phase
    baseline_spec_id: str
    suite_hash: str
    split: Split
    prompt_ids: tuple[str, ...] = Field(min_length=1)
    capabilities: tuple[Capability, ...]
    start: tuple[dict[str, str], ...]
    seed: int
    most_requests: int = Field(ge=1)
    beside: tuple[SearchProposer, ...] = Field(default=(), exclude_if=lambda beside: not beside)
    reflection: str | None = Field(default=None, exclude_if=lambda model: model is None)
    reflection_backend: Literal["own", "gepa"] = Field(default="own", exclude_if=lambda backend: backend == "own")
    questions: int = Field(default=0, ge=0, exclude_if=lambda questions: questions == 0)
    fresh: bool = Field(default=False, exclude_if=lambda fresh: not fresh)
    objective: SearchObjective | None = Field(default=None, exclude_if=lambda objective: objective is None)
    priors: tuple[dict[str, str], ...] = Field(default=(), exclude_if=lambda priors: not priors)
    synthetic: bool = Field(default=False, exclude_if=lambda synthetic: not synthetic)
    at: str


class SearchStanding(Record):
    """A point that a search looked at.

    Attributes:
        point: its choices.
        spec_id: of the spec that it makes with the baseline's model and limits.
        value: what it is thought to be worth under the objective. At most 1.
        n: on how many prompts it was asked.
        by: who proposed it.
        accuracy, call_accuracy, restraint: as they are estimated. None where no prompt tells, and
            in searches of before.
        latency_s, tokens, requests: what it takes on a prompt: the medians, and the mean of the
            requests. None in searches of before.
    """

    point: dict[str, str]
    spec_id: str
    value: float
    n: int
    by: str
    accuracy: float | None = Field(default=None, exclude_if=lambda figure: figure is None)
    call_accuracy: float | None = Field(default=None, exclude_if=lambda figure: figure is None)
    restraint: float | None = Field(default=None, exclude_if=lambda figure: figure is None)
    latency_s: float | None = Field(default=None, exclude_if=lambda figure: figure is None)
    tokens: float | None = Field(default=None, exclude_if=lambda figure: figure is None)
    requests: float | None = Field(default=None, exclude_if=lambda figure: figure is None)


class TriedWay(Record):
    """A way to ask that a search tried: its best reading, and how it ended. `spec_id` is empty unless
    it was asked on all prompts.
    """

    best: SearchStanding
    ended: WayEnd


class PartShare(Record):
    """What one part of the best point contributes, on the search prompts that both were asked on.

    Attributes:
        part, choice, default: the part, what the point chooses, and what it is compared with.
        possible: whether the point can be without it: other choices may need it.
        n: on how many prompts both were asked. 0: the point without it was not asked.
        gain, call_gain, restraint_gain: accuracy, call accuracy and restraint of the point, less
            those of the point without it. None where nothing can tell.
    """

    part: str
    choice: str
    default: str
    possible: bool = True
    n: int = Field(default=0, ge=0)
    gain: float | None = None
    call_gain: float | None = None
    restraint_gain: float | None = None


class ProposerRating(Record):
    """What came of what a proposer named.

    Attributes:
        by: its name.
        ways: how many ways to ask it named.
        paid: how many of them were asked on all prompts.
        fixed, of_fixes: prompts that were passed as it expected, of those that could tell.
        broken, of_breaks: prompts that were failed as it expected, likewise.
        model: who was asked for it; None: nobody.
        questions, unanswered: how often, and how often nothing came that could be read.
        refused: how many edits were refused, by why.
    """

    by: str
    ways: int = Field(ge=0)
    paid: int = Field(ge=0)
    fixed: int = Field(default=0, ge=0)
    of_fixes: int = Field(default=0, ge=0)
    broken: int = Field(default=0, ge=0)
    of_breaks: int = Field(default=0, ge=0)
    model: str | None = Field(default=None, exclude_if=lambda model: model is None)
    questions: int = Field(default=0, ge=0, exclude_if=lambda questions: questions == 0)
    unanswered: int = Field(default=0, ge=0, exclude_if=lambda unanswered: unanswered == 0)
    refused: dict[EditRefusal, int] = Field(default_factory=dict, exclude_if=lambda refused: not refused)


class SearchBatch(Record, ledger_kind="search_batch", id_field="batch_id", index_fields=("search_id",)):
    """What a search learnt from one batch: one way to ask, on some prompts.

    A search that goes on takes the same trials for the same batch, whatever the ledger got since.

    Attributes:
        batch_id: `SEARCH_ID/NUMBER`, which is also the group of the runs that the batch made.
        number: from 0.
        asking: the choices that shape the requests.
        by: who proposed it.
        trial_ids: what it was judged by, in the order of the prompts.
        reused: how many of these trials the ledger held before.
        best: the best point after this batch.
    """

    batch_id: str
    search_id: str
    number: int = Field(ge=0)
    asking: dict[str, str]
    by: str
    trial_ids: tuple[str, ...]
    reused: int = Field(ge=0)
    best: SearchStanding
    at: str


class SearchEnd(Record, ledger_kind="search_end", id_field="search_id"):
    """What a search found: the best reading of each way to ask, the best first.

    Attributes:
        requests: how many trials it made.
        reused: how many trials it took from the ledger beside them.
        compared: how many points it ranked, every reading of every way to ask.
        stopped: the cap that ended it; None if every way was asked.
        tried: every way to ask that was begun, the best first. Empty in searches of before, as are
            the next three.
        frontier: the points that nothing beats in both call accuracy and restraint.
        parts: what each part of the best point contributes.
        proposers: what came of what each proposer named.
    """

    search_id: str
    ranking: tuple[SearchStanding, ...]
    requests: int
    reused: int = Field(default=0, exclude_if=lambda reused: reused == 0)
    compared: int = Field(ge=1)
    stopped: str | None = None
    tried: tuple[TriedWay, ...] = Field(default=(), exclude_if=lambda tried: not tried)
    frontier: tuple[SearchStanding, ...] = Field(default=(), exclude_if=lambda frontier: not frontier)
    parts: tuple[PartShare, ...] = Field(default=(), exclude_if=lambda parts: not parts)
    proposers: tuple[ProposerRating, ...] = Field(default=(), exclude_if=lambda proposers: not proposers)
    at: str
