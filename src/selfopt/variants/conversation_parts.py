"""The parts of the space of variants that only conversations have: earlier turns and tool results."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from selfopt.records import Phase

from .part import PartChoice, VariantPart

_EXTENDED: frozenset[Phase] = frozenset({"extended"})
_MISSING = "When a required detail is missing, ask for it and call nothing. Never guess."
_STANDING = "What the user forbade, or wants to be asked about first, holds until the user lifts it."
# The other layouts and steps write every conversation as text.
_AS_MESSAGES = {"examples": frozenset({"none"}), "steps": frozenset({"single"})}

CONVERSATION_PARTS: tuple[VariantPart, ...] = (
    VariantPart(
        "digest",
        "whether the conversation is summed up",
        (
            PartChoice("none", "no"),
            PartChoice("state", "standing instructions, results, and how often what was called", {"state_digest": True}),
            PartChoice(
                "talk", "the same with all that the user said and the last answer", {"state_digest": True}, {"digest": "talk"}
            ),
        ),
        phases=_EXTENDED,
    ),
    VariantPart(
        "history",
        "how the earlier turns are told",
        (
            PartChoice("native", "as they are"),
            PartChoice("rendered", "as a text within the last message", {"history": "rendered"}, with_=_AS_MESSAGES),
            PartChoice(
                "latest",
                "by the digest alone",
                options={"turns": "latest"},
                with_={"digest": frozenset({"state", "talk"})},
            ),
        ),
        phases=_EXTENDED,
    ),
    VariantPart(
        "results",
        "how the model is shown what tools returned",
        (
            PartChoice("whole", "as it came"),
            PartChoice("lines", "JSON as lines of keys and values", options={"results": "lines"}),
            PartChoice("filled", "JSON without fields that hold nothing", options={"results": "filled"}),
        ),
        phases=_EXTENDED,
    ),
    VariantPart(
        "after_result",
        "what the model is told where a tool has just answered",
        (
            PartChoice("nothing", "nothing"),
            PartChoice(
                "answer", "to answer, and to call a tool only for what is still missing", options={"after_result": "answer"}
            ),
        ),
        phases=_EXTENDED,
    ),
    VariantPart(
        "ask_first",
        "what the model is told of asking before it acts",
        (
            PartChoice("untold", "nothing"),
            PartChoice("missing", "to ask for what is missing", {"instructions": _MISSING}),
            PartChoice("standing", "that what the user forbade stays forbidden", {"instructions": _STANDING}),
        ),
        phases=_EXTENDED,
    ),
    VariantPart(
        "sources",
        "who must have said what a call holds",
        (
            PartChoice("anybody", "anybody, the model itself included"),
            PartChoice("others", "the user or a tool, or the model where the user answered its question"),
        ),
        reads=True,
        phases=_EXTENDED,
    ),
    VariantPart(
        "repeats",
        "which calls are left out that were made and answered before",
        (
            PartChoice("kept", "none"),
            PartChoice("turn", "those answered since the user last spoke, unless they failed"),
            PartChoice("ever", "all, unless they failed"),
        ),
        reads=True,
        phases=_EXTENDED,
    ),
)
"""These parts, in the order in which a point is written, behind those of every phase."""

CONVERSATION_REPAIRS: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType(
    {
        ("sources", "others"): ("heard",),
        ("repeats", "turn"): ("repeat",),
        ("repeats", "ever"): ("repeat_ever",),
    }
)
"""What choices of these parts add to the chain that reads replies."""
