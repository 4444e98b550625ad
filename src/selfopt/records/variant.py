"""Variants: how tools and prompt are presented, how the output is constrained, and how the reply is
parsed.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from .base import Record, content_hash
from .chat import Message, Sampling, ToolCall, ToolDefinition

CallFormat = Literal["json", "xml", "bracket", "python_call"]
"""How a tool call is written in a prompt."""
ChainName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.\-]{0,63}(@[1-9][0-9]{0,3})?$")]
"""An entry of a parser chain: the name of a reader or family, or of a repair, such as `fit`, which
changes tool calls that were read. Versions after the first are written `name@version`."""


class Example(Record):
    """A worked example of a few-shot variant: tools of its own, a conversation and its answer."""

    tools: tuple[ToolDefinition, ...] = ()
    messages: tuple[Message, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    text: str = ""  # the answer when there are no tool calls


class Variant(Record):
    """A named, complete harness configuration. Every field except name, title and parsers shapes
    the requests.

    Attributes:
        tools: `native` passes tools to the server's own API, `system_prompt` writes them into the
            system prompt.
        instructions: sentences to add to the system prompt.
        history: `native` sends the conversation as it is, `rendered` writes earlier turns and tool
            results as text.
        state_digest: add a digest of the state and the standing instructions.
        constraint: limit the output by a grammar or schema made from the request's tools, which
            also allows no tool call.
        steps: `single`: one request. `choose_then_fill`: ask which tools, or none, and then for the
            arguments of each. `choose_then_answer`: ask the same first question, with instructions
            and examples; unless the answer is none, then send the request unchanged, with all
            tools. Here `constraint` limits the choice, and `none` limits it by a grammar.
        call_format: how prompts of this variant write a tool call.
        parsers: the chain that reads replies: readers and families in the order in which they are
            asked, and repairs of what they found (see `selfopt.reading.chain`).
        tag: has no effect but changes the hash: gives an exact copy another identity.
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

    @property
    def needs_grammar(self) -> bool:
        """Whether a request is limited by a grammar. A choice of tools is, unless a schema limits it."""
        return self.constraint == "grammar" or (self.constraint == "none" and self.steps != "single")

    def render_content(self) -> dict[str, Any]:
        """Returns everything that shapes the requests, as JSON, without fields that have their
        default value.

        So a field that is added later, with a default that means "as before", changes no hash. For
        the same reason a default never changes.
        """
        return self.model_dump(mode="json", exclude={"name", "title", "parsers"}, exclude_defaults=True)

    def read_by(self, parsers: tuple[str, ...], known: Iterable[Variant] = ()) -> Variant:
        """Returns the variant with another chain, under a name that says so.

        known: variants that are returned in its place where they have the same content.
        """
        changed = self.model_copy(update={"name": f"{self.name}+{'+'.join(parsers)}", "parsers": parsers})
        return next((variant for variant in known if variant.variant_hash == changed.variant_hash), changed)

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
        """Hash of the whole configuration, without name and title."""
        return content_hash("variant", [self.render_content(), list(self.parsers)])
