"""A harness configuration: how tools and prompt are presented, how output is constrained, how the reply is parsed."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from .base import Record, content_hash
from .chat import Message, Sampling, ToolCall, ToolDefinition

CallFormat = Literal["json", "xml", "bracket", "python_call"]
"""How a call is written in a prompt."""
ChainName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.\-]{0,63}(@[1-9][0-9]{0,3})?$")]
"""What a chain holds: the name of a reader or a family, in a later version than the first as `name@version`; or that of a
repair, such as `fit`, which changes calls once they are read."""


class Example(Record):
    """A worked example of a few-shot variant: its own tools, a conversation, and the calls that answer it (none: text)."""

    tools: tuple[ToolDefinition, ...] = ()
    messages: tuple[Message, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    text: str = ""


class Variant(Record):
    """A named, complete harness configuration. Every field but name, title and parsers shapes the requests.

    tools: `native` hands tools to the server's own API, `system_prompt` writes them into the system prompt.
    instructions: sentence(s) added to the system prompt. history: `native` sends the conversation as it is, `rendered`
    writes earlier turns and tool results as text. state_digest: add a digest of state and standing instructions.
    constraint: limit the output by a grammar or a schema built from the request's tools ("no call" included).
    steps: `single` request; `choose_then_fill`: first which tools (or none), then the arguments of each; `choose_then_answer`: the
    same first question, with the instructions and examples, and where the choice is not none the request as it is, with all tools.
    `constraint` says there how the choice is limited (`none`: by a grammar).
    call_format: how a call is written in prompts of this variant. parsers: the chain that reads replies: readers and
    families, asked in order, and repairs of what they found (see `selfopt.reading.chain`).
    tag: a free no-op mark that takes part in the hash (an exact copy under another identity).
    """

    name: str
    title: str = ""
    tools: Literal["native", "system_prompt"] = "native"
    instructions: str = ""
    history: Literal["native", "rendered"] = "native"
    state_digest: bool = False
    examples: tuple[Example, ...] = ()
    constraint: Literal["none", "grammar", "json_schema"] = "none"
    steps: Literal["single", "choose_then_fill", "choose_then_answer"] = "single"
    call_format: CallFormat = "json"
    parsers: tuple[ChainName, ...] = ("native",)
    sampling: Sampling = Sampling()
    options: dict[str, Any] = Field(default_factory=dict)
    tag: str = ""

    def render_content(self) -> dict[str, Any]:
        """Everything that shapes the requests, as JSON, fields at their default left out: a field added later (with the default
        that means "as before") changes no hash. For the same reason a default is never changed."""
        return self.model_dump(mode="json", exclude={"name", "title", "parsers"}, exclude_defaults=True)

    @cached_property
    def render_hash(self) -> str:
        """Hash of what shapes the requests."""
        return content_hash("render", self.render_content())

    @cached_property
    def parser_hash(self) -> str:
        """Hash of what reads the replies."""
        return content_hash("parser", list(self.parsers))

    @property
    def variant_hash(self) -> str:
        """Hash of the whole configuration; name and title take no part."""
        return content_hash("variant", [self.render_content(), list(self.parsers)])
