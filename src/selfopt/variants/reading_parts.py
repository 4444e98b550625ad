"""The parts of the space of variants that only change how replies are read."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from selfopt.records import Phase

from .part import EVERY_PHASE, PartChoice, VariantPart

_SURETIES = ("6", "4", "2.5", "1.5", "1", "0.6")
"""What the sum of a reply's log probabilities may lack to 0, in nats: each about two thirds of the one
before. Sure calls of small models begin at 0.6; what lacks more than 6 is seldom right.
"""
_IN_TALKS = frozenset({"4", "1.5"})  # conversations have more parts that read, and all combinations are judged
_ATOMIC: frozenset[Phase] = frozenset({"atomic"})

READING_PARTS: tuple[VariantPart, ...] = (
    VariantPart(
        "fit",
        "whether calls are fitted to their tools",
        (PartChoice("no", "no"), PartChoice("yes", "names, types, unknown and unwanted arguments")),
        reads=True,
    ),
    VariantPart(
        "offered",
        "whether calls of other tools are left out",
        (
            PartChoice("no", "no"),
            PartChoice("yes", "calls of tools that are not offered are left out"),
            PartChoice("once", "these, and the same call written again"),
        ),
        reads=True,
    ),
    VariantPart(
        "spelling",
        "whose spelling counts",
        (PartChoice("model", "the model's"), PartChoice("said", "misspelt names and codes become what was said")),
        reads=True,
    ),
    VariantPart(
        "backing",
        "which calls are believed",
        (
            PartChoice("any", "all"),
            PartChoice("ground", "those whose arguments the conversation backs"),
            PartChoice("strict", "those whose required arguments somebody said"),
        ),
        reads=True,
    ),
    VariantPart(
        "surety",
        "how sure the model has to be of a reply with calls",
        (
            PartChoice("any", "not at all"),
            *(
                PartChoice(
                    nats,
                    f"its log probabilities sum to -{nats} nats or more",
                    needs=frozenset({"logprobs"}),
                    phases=EVERY_PHASE if nats in _IN_TALKS else _ATOMIC,
                )
                for nats in _SURETIES
            ),
        ),
        reads=True,
    ),
)
"""These parts, in the order in which a point is written, behind those that shape requests."""

READING_REPAIRS: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType(
    {
        ("fit", "yes"): ("fit@2",),
        ("offered", "yes"): ("offered",),
        ("offered", "once"): ("offered", "once"),
        ("spelling", "said"): ("as_said",),
        ("backing", "ground"): ("ground@2",),
        ("backing", "strict"): ("ground@2", "strict"),
        **{("surety", nats): (f"sure-{nats}",) for nats in _SURETIES},
    }
)
"""What choices of these parts add to the chain that reads replies."""
