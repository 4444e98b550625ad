"""Prompts that a model or a template wrote for a user's tools: where they come from, and what models said."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Record
from .chat import ReplyContent

DropReason = Literal[
    "unreadable",
    "unanswered",
    "bad_text",
    "markup",
    "names_the_tool",
    "unknown_tool",
    "bad_arguments",
    "unsaid_argument",
    "says_everything",
    "duplicate",
    "near_duplicate",
    "solvers_disagree",
]
"""Why something that was written is no prompt. `unreadable`: a reply without JSON of the form that earlier versions
asked for.
`unanswered`: a request that the writer or a solver did not answer. `bad_text`: empty, too long, or with
characters that people don't type. `markup`: code or marks of calls. `unsaid_argument`: the request does
not say the value of an argument. `says_everything`: it needs no call by its kind, but says all that a
tool requires."""
SplitBy = Literal["tool_sets", "prompts"]


class SyntheticPrompts(Record):
    """The head of a suite whose prompts nobody asked in earnest.

    Attributes:
        by: the full name of the model that wrote them, or `template`.
        solvers: who had to agree with what is expected: a model's full name and the way it was
            asked. Empty: nobody did.
        held_out: what the splits don't share. `prompts`: they have the same tools and other prompts.
        dropped: how many were written and not kept, by reason.
    """

    by: str
    solvers: tuple[str, ...] = ()
    held_out: SplitBy = "prompts"
    dropped: dict[DropReason, int] = Field(default_factory=dict)


class AuthoredReply(Record, ledger_kind="authored_reply", id_field="reply_id", index_fields=("model",)):
    """What a writer or a solver answered while prompts were made. A command that was cut off reads it and asks on.

    Attributes:
        reply_id: the hash of the model and the request.
        model: the full name.
        content: what it said, cut at the limit of what is read.
    """

    reply_id: str
    model: str
    purpose: Literal["write", "solve"]
    content: ReplyContent
    at: str
