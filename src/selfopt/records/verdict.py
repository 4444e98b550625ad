"""Verdicts: the judgment of a trial."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import Literal

from pydantic import Field

from .base import Prose, Record, content_hash
from .chat import ToolCall
from .earlier import reply_status
from .variant import ChainName


class Outcome(StrEnum):
    """The outcome of a verdict. The last five are faults of infrastructure or harness."""

    PASS = "pass"
    WRONG = "wrong"
    UNCALLED_FOR = "uncalled_for"
    MISSED = "missed"
    UNPARSED = "unparsed"
    TRUNCATED = "truncated"
    TIMEOUT = "timeout"
    LOADING = "loading"
    ERROR = "error"

    @property
    def letter(self) -> str:
        """The letter in outcome rows: P for pass, F for any other."""
        return "P" if self is Outcome.PASS else "F"

    @property
    def says_something_about_the_model(self) -> bool:
        """Whether the outcome counts for capability."""
        return self in (Outcome.PASS, Outcome.WRONG, Outcome.UNCALLED_FOR, Outcome.MISSED)


ReadStatus = Literal["calls", "unread", "text", "empty", "explicit_none", "no_reply"]
"""What a reader sees in a reply.

`explicit_none`: it only says that no tool is needed. `no_reply`: there was no reply.
"""


CorrectionKind = Literal[
    "name",
    "syntax",
    "type",
    "choice",
    "unknown_argument",
    "not_asked_for",
    "not_backed",
    "call_not_backed",
    "not_fitted",
    "not_offered",
    "written_twice",
    "as_said",
    "unsure",
    "unsure_unknown",
    "made_before",
]
"""What was done to a call after the model wrote it.

`name`: the tool's name was mended. `syntax`: broken notation was mended. `type` and `choice`: a
value took the type, or the spelling of a choice, of its schema. `unknown_argument`: an argument
that the schema does not know was dropped. `not_asked_for`: an optional argument that nobody asked
for was dropped. `not_backed`: an optional argument that the conversation does not back was dropped.
`call_not_backed`: the call was dropped because nothing backs this required argument. `not_fitted`:
a value does not fit its schema and was kept as it came. `not_offered`: the call was dropped because
its tool is not offered. `written_twice`: an identical call of the same reply was dropped.
`as_said`: a misspelt text was replaced by what somebody said. `unsure`: the
call was dropped because the log probabilities of its reply are below the threshold of the chain.
`unsure_unknown`: it was dropped because the chain has a threshold and the reply has none.
`made_before`: it was dropped because the conversation has made it, and has its result.
"""


_DROPPED: frozenset[CorrectionKind] = frozenset({"call_not_backed", "not_offered", "unsure", "unsure_unknown", "made_before"})


class Correction(Record):
    """One change of a call after it was read.

    Attributes:
        tool: the name of the call's tool.
        argument: the argument; None for the call as a whole.
    """

    kind: CorrectionKind
    tool: str
    argument: str | None = None


class ParsedReply(Record):
    """What a parser chain read in a reply.

    Attributes:
        parser: the reader that found the tool calls; None without tool calls.
        recognised: what the reader saw, for people. Code uses `status`.
        unread: the family, or else the reader, of a tool call which the chain does not read;
            `UNKNOWN_FORMAT` where none is known. None when there is no such call.
        excerpt: the beginning of that call, at most 160 characters.
        read_by: a chain that reads it; None when none does.
        call_in_thinking: whether a call stands in the thinking and none in the answer.
        corrections: what was changed in the calls, or why they were dropped.
    """

    tool_calls: tuple[ToolCall, ...] = ()
    parser: str | None = None
    recognised: Prose = "text"
    unread: str | None = None
    # Replies without these are stored as before the fields existed.
    excerpt: str = Field(default="", exclude_if=lambda text: not text)
    read_by: ChainName | None = Field(default=None, exclude_if=lambda name: name is None)
    call_in_thinking: bool = Field(default=False, exclude_if=lambda found: not found)
    corrections: tuple[Correction, ...] = Field(default=(), exclude_if=lambda made: not made)

    @property
    def dropped(self) -> bool:
        """Whether all calls were dropped: nothing backs them, their tools are not offered, the model
        was not sure of them, or they were made before.
        """
        return not self.tool_calls and any(made.kind in _DROPPED for made in self.corrections)

    @property
    def withheld(self) -> bool:
        """Whether the calls of the whole reply were dropped because it is not sure."""
        return any(made.kind in ("unsure", "unsure_unknown") for made in self.corrections)

    @property
    def unobserved(self) -> bool:
        """Whether calls were dropped because the reply has no log probabilities."""
        return any(made.kind == "unsure_unknown" for made in self.corrections)

    @property
    def status(self) -> ReadStatus:
        """The kind of the reply."""
        if self.tool_calls:
            return "calls"
        return "unread" if self.unread is not None else reply_status(self.recognised)


@cache
def _judge_hash(parser_hash: str, scorer_hash: str) -> str:
    return content_hash("judge", [parser_hash, scorer_hash]).removeprefix("judge-")


class Verdict(Record, ledger_kind="verdict", id_field="verdict_id", index_fields=("run_id",)):
    """The outcome of a trial for one parser and one scorer, with the judged tool calls and the
    reason in words.
    """

    verdict_id: str
    trial_id: str
    run_id: str
    prompt_id: str
    parser_hash: str
    scorer_hash: str
    outcome: Outcome
    needs_call: bool
    parsed: ParsedReply = ParsedReply()
    why: str = ""

    @staticmethod
    def make_id(trial_id: str, parser_hash: str, scorer_hash: str) -> str:
        """Returns the id of a verdict: the trial's id and a hash of parser and scorer.

        Verdicts then sort like their trials, so a growing ledger writes only to the end of its
        index.
        """
        return f"verdict-{trial_id.removeprefix('trial-')}-{_judge_hash(parser_hash, scorer_hash)}"
