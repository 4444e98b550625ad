"""The judgment of a trial."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import Literal

from .base import Prose, Record, content_hash
from .chat import ToolCall
from .earlier import reply_status


class Outcome(StrEnum):
    """Exactly one per verdict. The last five are faults of infrastructure or harness."""

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
        """One letter for rows: P pass, F any other."""
        return "P" if self is Outcome.PASS else "F"

    @property
    def says_something_about_the_model(self) -> bool:
        """Whether it counts for capability: pass, wrong, uncalled_for, missed."""
        return self in (Outcome.PASS, Outcome.WRONG, Outcome.UNCALLED_FOR, Outcome.MISSED)


ReadStatus = Literal["calls", "unread", "text", "empty", "explicit_none", "no_reply"]
"""What a reply is to its reader. explicit_none: it says that no tool is needed, and nothing else. no_reply: none came."""


class ParsedReply(Record):
    """What a parser chain made of a reply.

    parser: the reader that found the calls (None: no call). recognised: what it saw, in words, for people; code asks `status`.
    unread: the reader, outside the chain, that sees a call; or the one of the chain that sees one it cannot read (None: none seen).
    """

    tool_calls: tuple[ToolCall, ...] = ()
    parser: str | None = None
    recognised: Prose = "text"
    unread: str | None = None

    @property
    def status(self) -> ReadStatus:
        """What sort of reply it was."""
        if self.tool_calls:
            return "calls"
        return "unread" if self.unread is not None else reply_status(self.recognised)


@cache
def _judge_hash(parser_hash: str, scorer_hash: str) -> str:
    return content_hash("judge", [parser_hash, scorer_hash]).removeprefix("judge-")


class Verdict(Record, ledger_kind="verdict", id_field="verdict_id", index_fields=("run_id",)):
    """(trial, parser hash, scorer hash) -> outcome, with the calls that were judged and the reason in words."""

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
        """The id under which this judgment is stored: that of the trial, then a hash of who judged. So verdicts are sorted
        as their trials are, and a ledger that grows writes to the end of its index and not all over it."""
        return f"verdict-{trial_id.removeprefix('trial-')}-{_judge_hash(parser_hash, scorer_hash)}"
