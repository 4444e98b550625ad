"""Rules in words."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.records import Confirmation, RuleReason, Spec

__all__ = ["no_fallback_text", "reason_text", "served_text"]


def reason_text(reasons: Sequence[RuleReason], confirmation: Confirmation | None = None) -> str:
    """A rule's reasons as one text. How sure the warm-up is stands behind what recommends it."""
    told = [] if confirmation is None else [confirmation.told]
    parts: list[str] = []
    for reason in reasons:
        parts.append(reason.text)
        if reason.kind == "warm_up":
            parts, told = [*parts, *told], []
    return "; ".join(dict.fromkeys(part for part in (*parts, *told) if part))


def served_text(spec: Spec) -> str:
    """What a promoted model is served with."""
    return f"served with {spec.variant.name} ({spec.spec_id})"


def no_fallback_text(fallback: str) -> str:
    """Why a fallback was left out."""
    return f"its fallback {fallback} would lead back here, so there is none"
