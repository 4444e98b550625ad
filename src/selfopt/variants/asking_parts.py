"""The parts of the space of variants that shape a request."""

from __future__ import annotations

from selfopt.records import Phase

from .part import PartChoice, VariantPart

MAX_CALLS = 2
"""How many calls a limited reply of a point may hold."""

_ATOMIC: frozenset[Phase] = frozenset({"atomic"})
_IN_TEXT = frozenset({"signatures", "schemas", "brief"})
_SINGLE = frozenset({"single"})
_CALL = "Call the tools that the request needs, one call for each thing asked."
_HOLD = "When it needs none or leaves out a required detail, answer in text."

ASKING_PARTS: tuple[VariantPart, ...] = (
    VariantPart(
        "tools",
        "how the model is shown the tools",
        (
            PartChoice("native", "through the server's own interface", needs=frozenset({"tools"})),
            PartChoice(
                "signatures", "as typed signatures in the prompt", {"tools": "system_prompt"}, {"tool_style": "signature"}
            ),
            PartChoice("schemas", "as JSON in the prompt", {"tools": "system_prompt"}, {"tool_style": "json"}),
            PartChoice(
                "brief", "by the names of their arguments in the prompt", {"tools": "system_prompt"}, {"tool_style": "brief"}
            ),
        ),
    ),
    VariantPart(
        "required_only",
        "whether optional arguments are shown",
        (
            PartChoice("no", "all arguments are shown"),
            PartChoice("yes", "only required arguments are shown", options={"lean": True}),
        ),
        phases=_ATOMIC,  # who refines a request names optional arguments
    ),
    VariantPart(
        "form",
        "what limits the output",
        (
            PartChoice("free", "nothing"),
            PartChoice(
                "grammar",
                "a grammar of none or calls",
                {"constraint": "grammar"},
                with_={"tools": _IN_TEXT},
                needs=frozenset({"grammar"}),
            ),
            PartChoice(
                "schema",
                "a JSON Schema of none or calls",
                {"constraint": "json_schema"},
                with_={"tools": _IN_TEXT},
                needs=frozenset({"json_schema"}),
            ),
        ),
    ),
    VariantPart(
        "steps",
        "what is asked first",
        (
            PartChoice("single", "nothing: one request"),
            PartChoice(
                "choose_then_fill",
                "which tools, then the arguments of each",
                {"steps": "choose_then_fill"},
                {"layout": "turn", "choice": "named"},
                with_={"tools": _IN_TEXT, "form": frozenset({"grammar", "schema"})},
                requests=MAX_CALLS,
            ),
            PartChoice(
                "choose_then_answer",
                "which tools or none, then the request as it is",
                {"steps": "choose_then_answer"},
                {"layout": "turn", "choice": "named", "agree": True},
                with_={"tools": frozenset({"native"}), "form": frozenset({"free"})},
                needs=frozenset({"grammar"}),
                requests=1,
            ),
        ),
    ),
    VariantPart(
        "examples",
        "which worked examples come first",
        (
            PartChoice("none", "none"),
            PartChoice("one_tool", "one tool each, each a turn of its own", {"examples": "one_tool"}, {"layout": "turn"}),
            PartChoice("everyday", "three tools each, each a turn of its own", {"examples": "everyday"}, {"layout": "turn"}),
            PartChoice(
                "similar",
                "the three of `one_tool` that are most like the request",
                {"examples": "one_tool"},
                {"layout": "turn", "examples_by": "similarity"},
            ),
            PartChoice("own_tools", "made from the tools of the request", options={"examples_by": "own_tools"}),
            PartChoice(
                "talks",
                "conversations, two tools each",
                {"examples": "talks"},
                {"layout": "turn"},
                phases=frozenset({"extended"}),
            ),
        ),
    ),
    VariantPart(
        "instructions",
        "what the model is told beside the tools",
        (
            PartChoice("none", "nothing"),
            PartChoice("call", "to call what the request needs", {"instructions": _CALL}),
            PartChoice("hold", "when not to call", {"instructions": _HOLD}),
            PartChoice("call_and_hold", "both", {"instructions": f"{_CALL} {_HOLD}"}),
            PartChoice(
                "copy",
                "both, and to copy names as they are written",
                {"instructions": f"{_CALL} Copy names, codes and words as the user wrote them. {_HOLD}"},
            ),
            PartChoice(
                "think",
                "both, and to say first in a sentence what is asked for",
                {"instructions": f"First say in one short sentence what I ask for. {_CALL} {_HOLD}"},
                with_={"steps": _SINGLE, "form": frozenset({"free"})},
            ),
        ),
    ),
    VariantPart(
        "words",
        "where free text of an argument comes from",
        (
            PartChoice("free", "the model"),
            PartChoice(
                "copied",
                "a run of words of the conversation",
                options={"copy_text": True},
                with_={"steps": frozenset({"choose_then_fill"}), "form": frozenset({"grammar"})},
            ),
        ),
        phases=_ATOMIC,  # in conversations values come from results too
    ),
)
"""These parts, in the order in which a point is written."""
