"""Where a model stands, in a sentence: which requests it may serve, and what becomes of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from selfopt.home import counted, escape_control
from selfopt.records import Rule

from .rules import NO_NAMES, when_text

RuleEffect = Literal["serves", "serves_sure", "escalates", "diverts", "refuses"]
"""What a rule does with its requests. `serves_sure`: answers that are sure enough. `escalates`: all of
them, since the threshold is void. `diverts`: another model serves."""
_SHOWN_RULES = 6


def effect_of(rule: Rule) -> RuleEffect:
    """What a rule does with its requests."""
    if not rule.allow:
        return "diverts" if rule.fallback is not None else "refuses"
    if rule.serve_when is None:
        return "serves"
    return "serves_sure" if rule.voided is None else "escalates"


def effect_text(rule: Rule, set_names: Mapping[str, str] = NO_NAMES) -> str:
    """What a rule does, completing "it": `may serve calendar_* tools, and escalates to local/large when unsure`."""
    other = "" if rule.fallback is None else f" to {escape_control(rule.fallback, 200)}"
    tools = "" if rule.when is None else when_text(rule.when, set_names)
    about = tools or "every request"
    requests = f"requests with {tools}{',' if ',' in tools else ''}" if tools else about
    return {
        "serves": f"may serve {about}",
        "serves_sure": f"may serve {about}, and escalates{other} when unsure",
        "escalates": f"escalates {requests}{other}, since its threshold is void",
        "diverts": f"hands {requests} over{other}",
        "refuses": f"is refused{f' for {tools}' if tools else ''}",
    }[effect_of(rule)]


def verdict_sentence(rules: Sequence[Rule], evaluations: int, set_names: Mapping[str, str] = NO_NAMES) -> str:
    """Whether a model may serve one phase, without a full stop.

    Args:
        rules: those of the model and phase.
        evaluations: how often it was measured in this phase.
    """
    if not rules:
        return f"was measured ({counted(evaluations, 'evaluation')}), and no rule says yet whether it may serve"
    ordered = sorted(rules, key=lambda rule: (rule.when is not None, not rule.allow))
    told = [effect_text(rule, set_names) for rule in ordered[:_SHOWN_RULES]]
    if len(ordered) > _SHOWN_RULES:
        told.append(f"{len(ordered) - _SHOWN_RULES} more rules decide by the tools of a request")
    if ordered[0].when is not None:
        told.append("no rule is about its other requests")
    elif len(told) > 1:
        told[0] = told[0].replace("every request", "every other request", 1)
    return "; ".join(told)


def models_sentence(effects: Sequence[RuleEffect], unruled: int, version: int, void: int = 0) -> str:
    """The answer on top: how many models may serve, are diverted or refused.

    Args:
        effects: what becomes of each model and phase that has rules.
        unruled: how many were measured and have no rule.
        void: how many thresholds do not hold any more.
    """
    if not effects and not unruled:
        return "Nothing was measured yet, so no rule is in force"
    counts = [
        (effects.count("serves"), "may serve"),
        (effects.count("serves_sure"), "may serve when sure"),
        (effects.count("escalates"), "must escalate everything, since a threshold is void"),
        (effects.count("diverts"), "may not, and another model serves"),
        (effects.count("refuses"), "may not, and nobody serves"),
        (unruled, "without a rule yet"),
    ]
    told = ", ".join(f"{n} {what}" for n, what in counts if n)
    pairs = len(effects) + unruled
    what = "model was measured or has a rule" if pairs == 1 else "pairs of a model and a phase were measured or have rules"
    rules = f"version {version} of the rules is in force" if version else "no rules are in force"
    broken = f"; {void} threshold{' is' if void == 1 else 's are'} void" if void else ""
    return f"{pairs} {what}: {told}; {rules}{broken}"
