"""Why an answer is not served as it is, and what is known about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from selfopt.records import ReplyContent, Usage

EscalationReason = Literal["unsure", "invalid", "unread", "cut", "no_logprobs", "unmeasured", "voided", "sticky", "failed"]
"""Why the fallback of a rule with a threshold answers:

- `unsure`: the answer is less sure than the rule asks for;
- `invalid`: likewise, and a call names no offered tool, lacks a required argument, or has one that
  its schema refuses;
- `unread`: the reply holds a call that the rule's variant does not read;
- `cut`: the reply ran into its limit of tokens before it called anything;
- `no_logprobs`: the confidence rests on log probabilities, and none came, too few, or no numbers;
- `unmeasured`: the request goes past the rule's variant, demands a call, offers other tools than those
  of the bound, samples otherwise, or its limit cuts the reply short: nothing was measured so;
- `voided`: the evidence behind the threshold does not hold any more;
- `sticky`: an earlier answer of this conversation came from the stronger model;
- `failed`: the model, or its server, failed.
"""


@dataclass(frozen=True, slots=True)
class HeldAnswer:
    """An answer that was not served.

    Attributes:
        content: what the variant made of the reply.
        usage, thinking: of all requests that it took.
    """

    content: ReplyContent
    usage: Usage
    thinking: str


class Escalating(Exception):
    """A stronger model has to answer. The one that was asked did nothing wrong.

    Attributes:
        because: why, as the record of the request has it.
        held: the answer that is not sure enough; None where the model was not asked, or its reply
            is no evidence.
    """

    def __init__(self, because: EscalationReason, held: HeldAnswer | None = None) -> None:
        super().__init__(because)
        self.because = because
        self.held = held
