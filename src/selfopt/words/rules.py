"""Sentences about rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from selfopt.home import escape_control
from selfopt.records import AuditRecord, Ban, Confirmation, Phase, RouteDecision, Rule, RuleReason, Spec, ToolMatch

from .evidence import on_prompts

NO_NAMES: Mapping[str, str] = MappingProxyType({})
HASH_DIGITS = 16
"""How many digits of its hash a line of the readable log ends in."""


def trail_line(record: AuditRecord) -> str:
    """A record in one line for people. It ends in the first digits of the record's hash."""
    more = f" and {len(record.evidence) - 5} more" if len(record.evidence) > 5 else ""
    parts = (
        record.timestamp,
        record.event,
        record.original_model,
        record.phase,
        None if record.fallback is None else f"-> {record.fallback}",
        None if record.config_version is None else f"v{record.config_version}",
        record.rule_id,
        f"reason: {record.reason}" if record.reason else None,
        f"evidence: {', '.join(record.evidence[:5])}{more}" if record.evidence else None,
    )
    text = " | ".join(part for part in parts if part is not None)
    return f"{escape_control(text, 4000)} | {record.hash[:HASH_DIGITS]}"


def reason_text(reasons: Sequence[RuleReason], confirmation: Confirmation | None = None) -> str:
    """The reasons of a rule as one text. The confirmation follows the reason for the warm-up."""
    told = [] if confirmation is None else [confirmation.told]
    parts: list[str] = []
    for reason in reasons:
        parts.append(reason.text)
        if reason.kind == "warm_up":
            parts, told = [*parts, *told], []
    return "; ".join(dict.fromkeys(part for part in (*parts, *told) if part))


def served_text(spec: Spec, *, synthetic: bool = False) -> str:
    """The spec that a promoted model is served with. synthetic: it was measured on synthetic prompts alone."""
    return on_prompts(f"served with {spec.variant.name} ({spec.spec_id})", synthetic=synthetic)


def ban_text(ban: Ban) -> str:
    """What is not tried again, why, and since when."""
    what = {
        "variant": f"variant {ban.what}",
        "warm_up": "warm-up",
        "fallback": f"fallback {ban.what}",
        "escalation": f"serving when sure, as {ban.what} has it,",
    }[ban.kind]
    why = {"rollback": "it was rolled back", "did_not_help": "it did not help"}[ban.because]
    return f"{ban.model} {ban.phase}: {what} is not tried again, because {why}{f' ({ban.at})' if ban.at else ''}"


def broken_text() -> str:
    """Why a threshold is void that a cycle found broken."""
    return "fresh replies break its bound"


def no_fallback_text(fallback: str) -> str:
    """Why a fallback was left out."""
    return f"its fallback {fallback} would lead back here, so there is none"


def change_text(before: Rule | None, after: Rule | None) -> str:
    """A change in one line: `+ model phase: deny, fallback b`. `-` means removed, `~` changed."""
    sides = [rule for rule in (before, after) if rule is not None]
    sign = "~" if len(sides) == 2 else "-" if after is None else "+"
    effects = [_effect(rule) for rule in sides]
    what = " => ".join(effects)
    if len(sides) == 2 and effects[0] == effects[1]:
        names = [n for n in Rule.model_fields if n != "since_version" and getattr(sides[0], n) != getattr(sides[1], n)]
        what = f"{effects[0]} ({', '.join(name.replace('_', ' ') for name in names) or 'nothing'} changed)"
    return f"{sign} {rule_text(sides[-1])}: {what}"


def _effect(rule: Rule) -> str:
    parts = ["allow" if rule.allow else "deny"]
    if rule.fallback is not None:
        parts.append(f"fallback {escape_control(rule.fallback)}")
    if rule.warm_up:
        parts.append("warm-up")
    if rule.variant is not None:
        parts.append(f"variant {escape_control(rule.variant.name)}")
    if rule.source == "manual":
        parts.append("manual")
    return ", ".join(parts)


def when_text(when: ToolMatch, set_names: Mapping[str, str] = NO_NAMES) -> str:
    """Which requests a rule is about, by their tools: `calendar_* tools, at most 3`.

    set_names: what people call a tool set, by its content name.
    """
    least, most = when.least or 1, when.most
    if most is None:
        count = f"at least {least}" if least > 1 else ""
    else:
        count = f"exactly {least}" if least == most else f"at most {most}" if least == 1 else f"{least} to {most}"
    what = f"{escape_control(when.names, 200)} tools" if when.names else ""
    if when.tool_set is not None:
        called = set_names.get(when.tool_set)
        shown = when.tool_set if called is None else f"{escape_control(called, 80)} ({when.tool_set})"
        what = f"tool set {shown}" + (f" of {what}" if what else "")
    if not what:
        return f"{count or 'any number of'} {'tool' if (least, most) == (1, 1) else 'tools'}"
    return f"{what}, {count}" if count else what


def rule_text(rule: Rule, set_names: Mapping[str, str] = NO_NAMES) -> str:
    """What a rule is about: `local/small atomic, calendar_* tools`."""
    about = f"{escape_control(rule.model, 200)} {rule.phase}"
    return about if rule.when is None else f"{about}, {when_text(rule.when, set_names)}"


def mixed_text(model: str, phase: Phase, one: RouteDecision, other: RouteDecision) -> str:
    """That the rules let different specs serve the prompts of one measurement, and what to do."""
    told = [
        f"{'no rule' if d.rule is None else f'{rule_text(d.rule)} ({d.rule.rule_id})'}: {d.outcome}{f' {d.model}' if d.outcome == 'fallback' else ''}"
        for d in (one, other)
    ]
    return (
        f"the prompts of this suite offer tools on which the rules of {escape_control(model, 200)} {phase} differ "
        f"({escape_control('; '.join(told), 500)}), and one measurement has one spec: measure the model itself with --force-model, "
        "or a suite whose prompts offer one sort of tools"
    )


def not_allowed_text(model: str, phase: Phase, rule: Rule | None) -> str:
    """Why a model may not serve a phase. rule: None if there is none."""
    shown = escape_control(model, 200)
    if rule is None:
        return f"{shown} has no rule for {phase}, and unmeasured models are refused"
    why = f" ({escape_control(rule.reason, 500)})" if rule.reason else ""
    return f"{shown} may not serve {phase}{why}"


def refusal_text(model: str, phase: Phase, rule: Rule | None, skipped: Sequence[str]) -> str:
    """Why nobody serves, and what to do. skipped: the fallbacks that may not serve, with reasons."""
    if rule is None:
        return f"{not_allowed_text(model, phase, rule)}; measure it with --force-model, or allow it with `selfopt routes set {escape_control(model)} {phase} --allow`"
    fallbacks = "; ".join(escape_control(entry, 300) for entry in skipped) or "none is named"
    return (
        f"{not_allowed_text(model, phase, rule)} and no fallback may either ({fallbacks}); "
        f"name one with `selfopt routes set {escape_control(model)} {phase} --deny --fallback MODEL`, or override with --force-model"
    )


def told_refusal_text(model: str, phase: Phase, rule: Rule | None) -> str:
    """Why nobody serves, for a client. Rules are for others to change, so it gets no advice."""
    shown = escape_control(model, 200)
    if rule is None:
        return f"{shown} was not measured on {phase} requests, and this gateway serves measured models only"
    why = f" ({escape_control(rule.reason, 500)})" if rule.reason else ""
    return f"{shown} may not serve {phase} requests with tools here{why}, and no other model may in its place"


def no_tools_text() -> str:
    """Why a request is served that the rules would divert or refuse."""
    return "the rules are about calling tools, and the request neither offers nor uses any"
