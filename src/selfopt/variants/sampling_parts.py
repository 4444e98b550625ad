"""The parts of the space of variants that are about how tokens are drawn."""

from __future__ import annotations

from .part import PartChoice, VariantPart

SAMPLING_PARTS: tuple[VariantPart, ...] = (
    VariantPart(
        "temperature",
        "how freely tokens are drawn",
        (
            PartChoice("0", "the likeliest token each time"),
            *(
                PartChoice(
                    text,
                    f"by chance, {how}",
                    # With a seed, each prompt would have one reply by luck, and its repeats would be copies.
                    sampling={"temperature": float(text), "seed": None},
                    needs=frozenset({"temperature"}),
                )
                for text, how in (
                    ("0.3", "seldom far from the likeliest"),
                    ("0.7", "more freely"),
                    ("1", "as often as the model thinks them likely"),
                )
            ),
        ),
    ),
    VariantPart(
        "thinking",
        "how many tokens the model may think before it answers",
        (
            PartChoice("none", "none, where the server can switch thinking off"),
            *(
                PartChoice(
                    name,
                    f"{tokens:,} beside those of the answer",
                    sampling={"thinking_tokens": tokens},
                    # A limit holds from the first token on, so a limited reply has no place for thoughts.
                    with_={"form": frozenset({"free"}), "steps": frozenset({"single"})},
                    needs=frozenset({"thinking"}),
                )
                for name, tokens in (("short", 256), ("long", 1024))
            ),
        ),
    ),
)
"""These parts, in the order in which a point is written."""
