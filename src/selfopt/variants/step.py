"""One request that a variant makes, and the replies that it waits for."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from selfopt.records import Constraint, Message, ReplyContent, Sampling, ToolDefinition, Variant


@dataclass(frozen=True, slots=True)
class RenderedStep:
    """One request of a trial, before endpoint, model and timeout are known.

    Attributes:
        step: "answer", "choose", "fill N", "decide", "decide N/A", "pick", "pick N/A", "vote N", "retry",
            "more" or "embed".
        messages: the messages to send.
        tools: the tools that the server gets.
        tool_choice: what the server is told about calling them.
        constraint: the constraint on the reply.
        sampling: the sampling parameters.
        settled: a reply with the calls that are certain before this step, if there are any. The
            parsers read them first, whatever the further steps bring.
        logprobs: how many of the likeliest tokens the step wants at each place, with their log
            probabilities. It reads these alone, so a reply that ends at the token limit is whole.
            None: it wants none.
        blank: whether it asks about a request without content. Its reply is then the same for all
            requests with these tools and standing orders.
        embedding: full name of the embedding model that answers this step, and not the model itself
            (see `meaning`); "" for all other steps.
    """

    step: str
    messages: tuple[Message, ...]
    tools: tuple[ToolDefinition, ...] = ()
    tool_choice: Literal["auto", "none", "required"] = "auto"
    constraint: Constraint | None = None
    sampling: Sampling = field(default_factory=Sampling)
    settled: ReplyContent | None = None
    logprobs: int | None = None
    blank: bool = False
    embedding: str = ""


Steps = Generator[RenderedStep, ReplyContent, ReplyContent]
"""The requests for a prompt. Each is answered with its reply; what the parsers read comes last."""


def continued(messages: Sequence[Message], text: str) -> tuple[Message, ...]:
    """Messages with a text at the end of what the user said last."""
    if messages and messages[-1].role == "user":
        last = messages[-1]
        return (*messages[:-1], last.model_copy(update={"content": f"{last.content}\n\n{text}"}))
    return (*messages, Message(role="user", content=text))


def continued_as(opening: RenderedStep, step: str, text: str) -> RenderedStep:
    """The same request with more to it at its end, so that a server knows its beginning."""
    return replace(opening, step=step, messages=continued(opening.messages, text))


@dataclass(frozen=True, slots=True)
class Request:
    """What a variant asks a model for.

    Attributes:
        variant: with the examples that it shows.
        messages: the conversation.
        shown: what the model is shown of it.
        tools: those that the model is shown.
        offered: all tools that the client offers.
    """

    variant: Variant
    messages: Sequence[Message]
    shown: Sequence[Message]
    tools: Sequence[ToolDefinition]
    offered: Sequence[ToolDefinition]
