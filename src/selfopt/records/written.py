"""Choices of parts that were written during a search, and what a reflection model said."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from .base import Prose, Record, content_hash
from .trial import Exchange
from .variant import Example

WrittenPart = Literal["instructions", "examples"]
"""A part whose choices may be written during a search."""

MAX_WRITTEN_CHARS = 600
"""The longest instructions that may be written during a search."""
MAX_WRITTEN_EXAMPLES = 3
_MAX_EXAMPLES_CHARS = 12_000


class WrittenChoice(Record, ledger_kind="written_choice", id_field="written_id", index_fields=("search_id",)):
    """A choice of a part that was written during a search. It is data, and stays with its search.

    The ledger holds it before anything is asked with it.

    Attributes:
        name: as it stands in a point. It follows from the content.
        instructions: for the part of this name: what the model is told.
        examples: for the part of this name: worked examples.
        by: the proposer that wrote it.
        model: the model that wrote it; None where no model did.
        sources: prompts of the search whose words it holds. What is asked with it is not judged on them.
    """

    written_id: str
    search_id: str
    name: str = Field(pattern=r"^w-[0-9a-f]{8}$")
    part: WrittenPart
    instructions: str = Field(default="", max_length=MAX_WRITTEN_CHARS)
    examples: tuple[Example, ...] = Field(default=(), max_length=MAX_WRITTEN_EXAMPLES)
    by: str
    model: str | None = None
    sources: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = {"instructions": bool(self.instructions.strip()), "examples": bool(self.examples)}
        if [part for part, there in given.items() if there] != [self.part]:
            raise ValueError(f"a written choice of {self.part} holds {self.part} and nothing else")
        if sum(len(example.model_dump_json()) for example in self.examples) > _MAX_EXAMPLES_CHARS:
            raise ValueError(f"written examples have at most {_MAX_EXAMPLES_CHARS} characters")
        if self.name != self.name_of(self.instructions or self.examples) or self.written_id != f"{self.search_id}/{self.name}":
            raise ValueError("the name of a written choice follows from its content, and its id from both")
        return self

    @staticmethod
    def name_of(content: str | tuple[Example, ...]) -> str:
        """The name of a choice with this content."""
        body = content if isinstance(content, str) else [one.model_dump(mode="json", exclude_defaults=True) for one in content]
        return f"w-{content_hash('', body)[1:9]}"

    @classmethod
    def of(
        cls,
        search_id: str,
        content: str | tuple[Example, ...],
        *,
        by: str,
        model: str | None = None,
        sources: tuple[str, ...] = (),
    ) -> WrittenChoice:
        """A written choice, named after its content: instructions if that is a text, else examples.

        Pydantic's ValidationError says what is too long or empty.
        """
        name = cls.name_of(content)
        text, examples = (content, ()) if isinstance(content, str) else ("", content)
        part: WrittenPart = "instructions" if isinstance(content, str) else "examples"
        return cls(
            written_id=f"{search_id}/{name}",
            search_id=search_id,
            name=name,
            part=part,
            instructions=text,
            examples=examples,
            by=by,
            model=model,
            sources=sources,
        )


EditRefusal = Literal[
    "malformed",
    "unknown_part",
    "unknown_choice",
    "unknown_tool",
    "too_long",
    "impossible",
    "repeated",
    "held_out",
    "search_prompt",
    "too_many",
]
"""Why an edit of a reflection model is refused.

`malformed`: it is not of the asked form. `unknown_part`, `unknown_choice`, `unknown_tool`: it names
what there is not. `impossible`: its choices exclude each other, or the server can't be asked so.
`repeated`: it changes nothing, or was begun or proposed before. `held_out`: it repeats material of
prompts that nothing may be tuned on. `search_prompt`: it repeats prompts of the search, and there
are no held-out prompts to judge it on. `too_many`: it came after the last one that is read.
"""


class RefusedEdit(Record):
    """An edit that is not used. prompt_ids: the prompts whose material it repeats."""

    refusal: EditRefusal
    prompt_ids: tuple[str, ...] = ()
    detail: Prose = ""


class ReflectedEdit(Record):
    """An edit that the search may ask.

    Attributes:
        point: the choices of the way to ask that it makes of the parent.
        fixes: the prompts that it is expected to pass where the parent fails.
        breaks: the prompts that it is expected to fail where the parent passes.
    """

    point: dict[str, str]
    fixes: tuple[str, ...] = ()
    breaks: tuple[str, ...] = ()


Unanswered = Literal["timeout", "loading", "error", "no_json"]
"""Why a question brought nothing: the fault of the request, or no JSON in the answer."""


class Reflection(Record, ledger_kind="reflection", id_field="reflection_id", index_fields=("search_id",)):
    """One question to a reflection model, and what it brought. It is asked once, whatever came.

    Attributes:
        number: of the question in its search, from 0.
        batches: how many batches of the search came before it.
        parent: the point that it is about.
        prompt_ids: the prompts whose trials the model was shown.
        exchange: its requests and replies.
        unanswered: None where the answer held JSON.
    """

    reflection_id: str
    search_id: str
    number: int = Field(ge=0)
    batches: int = Field(ge=0)
    model: str
    parent: dict[str, str]
    prompt_ids: tuple[str, ...]
    exchange: Exchange
    unanswered: Unanswered | None = None
    edits: tuple[ReflectedEdit, ...] = ()
    refused: tuple[RefusedEdit, ...] = ()
    at: str
