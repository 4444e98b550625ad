"""The difference between two versions of the rules, and what a rollback does, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from selfopt.home import counted, escape_control
from selfopt.records import Rule, ServeWhen

from .models import effect_text
from .rules import NO_NAMES, rule_text
from .thresholds import bound_text, least_text

_SOURCES = {
    "recommendation": "a recommendation of the loop",
    "promotion": "a promotion",
    "manual": "a person",
    "import": "an imported file",
    "rollback": "a rollback",
}


@dataclass(frozen=True, slots=True)
class ToldChange:
    """How one rule differs between two versions.

    Attributes:
        about: the model, the phase and the tools.
        before, after: what the rule does, completing "it"; "" where there is no rule.
        more: what else differs, a sentence each without a full stop.
    """

    kind: Literal["added", "removed", "changed"]
    about: str
    before: str
    after: str
    more: tuple[str, ...]


def told_change(before: Rule | None, after: Rule | None, set_names: Mapping[str, str] = NO_NAMES) -> ToldChange:
    """One rule before and after. Raises ValueError where there is neither."""
    shown = after if after is not None else before
    if shown is None:
        raise ValueError("a change without a rule")
    sides = [None if rule is None else effect_text(rule, set_names) for rule in (before, after)]
    kind: Literal["added", "removed", "changed"] = "added" if before is None else "removed" if after is None else "changed"
    more = _more(before, after) if before is not None and after is not None else _has(shown)
    return ToldChange(kind, rule_text(shown, set_names), sides[0] or "", sides[1] or "", tuple(more))


def _has(rule: Rule) -> list[str]:
    """What a rule has besides its effect."""
    said = [f"variant {_variant(rule)}"] if rule.variant is not None else []
    if rule.warm_up:
        said.append("the model is warmed up")
    if rule.serve_when is not None:
        said.append(_threshold(rule.serve_when))
    return said


def _more(before: Rule, after: Rule) -> list[str]:
    """What differs besides the effect."""
    said: list[str] = []
    if (before.variant, before.spec_id) != (after.variant, after.spec_id):
        pair = _variant(before), _variant(after)
        said.append(
            f"variant {pair[0]} becomes {pair[1]}" if pair[0] != pair[1] else f"variant {pair[1]} is served with other settings"
        )
    if before.warm_up != after.warm_up:
        said.append("the model is warmed up" if after.warm_up else "the model is not warmed up any more")
    if before.fallback != after.fallback:
        said.append(f"the fallback {_named(before.fallback)} becomes {_named(after.fallback)}")
    if before.serve_when != after.serve_when:
        said.append(_thresholds(before.serve_when, after.serve_when))
    if before.limits != after.limits:
        said += [
            f"{name.replace('_', ' ')} {_named(getattr(before.limits, name))} becomes {_named(getattr(after.limits, name))}"
            for name in type(after.limits).model_fields
            if getattr(before.limits, name) != getattr(after.limits, name)
        ]
    if before.fallback_on_unparsed != after.fallback_on_unparsed:
        said.append(f"replies that nothing reads {'now go' if after.fallback_on_unparsed else 'no longer go'} to the fallback")
    if before.source != after.source:
        said.append(f"it came from {_SOURCES[before.source]}, and now comes from {_SOURCES[after.source]}")
    if not said and before.reasons != after.reasons:
        said.append("only its reason changed")
    return said


def _named(value: object) -> str:
    return "none" if value is None else escape_control(str(value), 200)


def _variant(rule: Rule) -> str:
    return "none" if rule.variant is None else escape_control(rule.variant.name, 200)


def _threshold(when: ServeWhen) -> str:
    return f"answers are served from a confidence of {least_text(when.least)} on ({bound_text(when.bound)})"


def _thresholds(before: ServeWhen | None, after: ServeWhen | None) -> str:
    if after is None:
        return "there is no threshold any more"
    if before is None or before.calibration_id != after.calibration_id:
        return f"{'a new threshold' if before else 'a threshold'}: {_threshold(after)}"
    return "how the threshold is used changed (retry, sticky or parallel)"


def rollback_sentence(version: int, changes: int) -> str:
    """What a rollback to a version does, in a sentence without a full stop."""
    if not changes:
        return f"Version {version} says what the rules in force say, so nothing would change"
    where = "takes all rules away" if version == 0 else f"puts the rules of version {version} in force again, as a new version"
    return f"This {where}, and changes {counted(changes, 'rule')}"
