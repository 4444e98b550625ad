"""The parts of the space of variants that leave tools out, and those that ask more than once."""

from __future__ import annotations

from selfopt.records import Phase

from .part import PartChoice, VariantPart

_SINGLE = frozenset({"single"})
_UNVOTED = frozenset({"one"})
_UNDECIDED = frozenset({"no"})
_FEWER = frozenset({"five", "three", "one"})
_ATOMIC: frozenset[Phase] = frozenset({"atomic"})

STEP_PARTS: tuple[VariantPart, ...] = (
    VariantPart(
        "keep_tools",
        "how many tools are shown, those with most in common with the request",
        (
            PartChoice("all", "all"),
            PartChoice("five", "five", options={"keep_tools": 5}),
            PartChoice("three", "three", options={"keep_tools": 3}),
            PartChoice("one", "one", options={"keep_tools": 1}),
        ),
    ),
    VariantPart(
        "tools_by",
        "what says which tools these are",
        (
            PartChoice("words", "the words that they have in common with the request"),
            *(
                PartChoice(
                    name,
                    title,
                    options={"tools_by": name},
                    with_={"keep_tools": _FEWER},
                    needs=frozenset({"embeddings"}),
                )
                for name, title in (
                    ("meaning", "how similar their embeddings are to that of the request"),
                    ("both", "the sum of both"),
                )
            ),
        ),
    ),
    VariantPart(
        "decide",
        "whether it is asked first if a call is needed, by the probabilities of yes and no",
        (
            PartChoice("no", "no"),
            *(
                PartChoice(
                    name,
                    f"no call where the odds of yes are below {how} for an empty request",
                    options={"decide": threshold},
                    with_={"steps": _SINGLE},
                    needs=frozenset({"logprobs"}),
                    requests=2,
                )
                for name, how, threshold in (
                    ("loose", "a seventh of those", -2.0),
                    ("even", "those", 0.0),
                    ("firm", "seven times those", 2.0),
                )
            ),
        ),
        phases=_ATOMIC,
    ),
    VariantPart(
        "pick",
        "whether only the likeliest tools are shown, by the probabilities of their names in a first answer",
        (
            PartChoice("no", "no"),
            *(
                PartChoice(
                    name,
                    f"no call where none is {how}, each against an empty request",
                    options={"pick": threshold},
                    with_={"steps": _SINGLE, "decide": _UNDECIDED},
                    needs=frozenset({"logprobs"}),
                    requests=2,
                )
                for name, how, threshold in (
                    ("loose", "more than seven times as likely as the likeliest tool", 2.0),
                    ("even", "likelier than the likeliest tool", 0.0),
                    ("firm", "more than a seventh as likely as the likeliest tool", -2.0),
                )
            ),
        ),
        phases=_ATOMIC,
    ),
    VariantPart(
        "votes",
        "how many orders of the tools are asked",
        (
            PartChoice("one", "one"),
            PartChoice(
                "three",
                "up to three, and what most of them call is called",
                options={"votes": 3},
                with_={"steps": _SINGLE},
                requests=2,
            ),
        ),
        phases=_ATOMIC,
    ),
    VariantPart(
        "retry",
        "what follows a call that can't be right",
        (
            PartChoice("no", "nothing"),
            PartChoice(
                "once",
                "it is shown with what is wrong with it",
                options={"retry": True},
                with_={"steps": _SINGLE, "votes": _UNVOTED},
                requests=1,
            ),
        ),
        phases=_ATOMIC,
    ),
    VariantPart(
        "more",
        "what follows a single call where several things may be asked for",
        (
            PartChoice("no", "nothing"),
            PartChoice(
                "ask",
                "it is asked which calls are missing",
                options={"more": True},
                with_={"steps": _SINGLE, "votes": _UNVOTED},
                requests=1,
            ),
        ),
        phases=_ATOMIC,
    ),
)
"""These parts, in the order in which a point is written."""
