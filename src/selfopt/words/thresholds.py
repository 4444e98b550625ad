"""Sentences about rules that serve when sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from selfopt.home import escape_control
from selfopt.records import Calibration, Rule, ServedBound, ServeWhen, Voided, VoidedBy
from selfopt.records.rule import ShareRise

from .rules import rule_text
from .second_way import compared_text, second_trials_text

_FACTS = {
    "digest": "the model file",
    "quantization": "the quantisation",
    "template_hash": "the chat template",
    "engine": "the engine",
    "engine_build": "the build of the engine",
    "embedding_digest": "the embedding model",
    "spec": "the variant or a limit",
    "evidence_key": "the spec or its environment",
}
_MOST_SETS = 20
_FEW_SETS = 8
VOIDED_BY: Mapping[VoidedBy, str] = {
    "environment": "another environment",
    "escalations": "drift of live traffic",
    "outcomes": "told outcomes",
    "replies": "fresh replies",
    "drift": "drift",
}
CLAIM_ON: dict[str, str] = {"these_tools": "on these tools", "unseen_tools": "on tools not seen"}


def share_text(share: float) -> str:
    """A share in per cent: `10 %`, `2.5 %`."""
    return f"{share * 100:.3g} %"


def least_text(least: float) -> str:
    """A confidence, rounded down, so that no answer below it seems to be above: `.83`, `1`."""
    shown = f"{int(least * 10_000 + 1e-6) / 10_000:.4f}".rstrip("0").rstrip(".")
    return shown.removeprefix("0") or "0"


def bound_text(bound: ServedBound) -> str:
    """What a bound says: `on these tools at most 10 % of what is served is wrong, 95 %`."""
    return f"{CLAIM_ON[bound.claim]} at most {share_text(bound.max_bad_share)} of what is served is wrong, {share_text(bound.confidence)}"


def surely_text(surely: ServeWhen) -> str:
    """When an answer is served: `when sure (confidence >= .83: on these tools at most ...)`."""
    return f"when sure (confidence >= {least_text(surely.least)}{compared_text(surely)}: {bound_text(surely.bound)})"


def verdict_text(rule: Rule) -> str:
    """What a rule does, as a person would say it: `serve when sure (...), else local/large`."""
    other = None if rule.fallback is None else escape_control(rule.fallback, 200)
    if rule.serve_when is not None and rule.allow:
        if rule.voided is not None:
            return f"escalate everything to {other}, because the threshold is void ({_why(rule.voided)})"
        return f"serve {surely_text(rule.serve_when)}, else {other}"
    if rule.when is not None:
        if rule.allow:
            return "serve" if other is None else f"serve, on a fault {other}"
        return "refuse" if other is None else f"escalate to {other}"
    if rule.allow:
        return "allow" if other is None else f"allow, on a fault {other}"
    return "refuse" if other is None else f"fallback {other}"


def only_sets_text(surely: ServeWhen, set_names: Mapping[str, str]) -> str | None:
    """Which tools a threshold is about; None where it is about others, too, or they are not known."""
    sets = surely.only_sets
    if not sets:
        return None
    named = sorted(escape_control(set_names[name], 60) for name in sets if name in set_names)[:_FEW_SETS]
    others = len(sets) - len(named)
    listed = ", ".join(
        [*named, *([f"{others} more" if named else f"{others} tool set{'' if others == 1 else 's'}"] if others else [])]
    )
    return f"it was calibrated on the tools of {listed}; requests with others escalate"


def _why(voided: Voided) -> str:
    kind = VOIDED_BY[voided.kind]
    return f"{kind}: {escape_control(voided.why, 500)}" if voided.why else kind


def differs_text(differs: Sequence[str]) -> str:
    """What is not as it was when a threshold was calibrated."""
    named = [_FACTS.get(name, name) for name in differs]
    listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    return f"{listed} {'is' if len(named) == 1 else 'are'} not what was calibrated"


def rise_text(kind: VoidedBy, rise: ShareRise) -> str:
    """What live traffic showed: `of the last 240 requests, 61.2 % were not sure enough, and at most 41.3 % were expected`."""
    if not rise.of:
        return f"{rise.seen} in all"
    share = share_text(rise.risen / rise.of)
    if kind == "outcomes":
        return (
            f"of the last {rise.of} served answers whose outcome was told, {share} were wrong, and "
            f"at most {share_text(rise.usual)} are allowed"
        )
    return f"of the last {rise.of} requests, {share} were not sure enough, and at most {share_text(rise.usual)} were expected"


def voided_text(rule: Rule, voided: Voided) -> str:
    """That a threshold is void, what happens now, and what to do: one line for a log."""
    return (
        f"the threshold of {rule_text(rule)} ({rule.rule_id}) is void ({_why(voided)}): everything goes to "
        f"{escape_control(rule.fallback or 'its fallback', 200)} until it is calibrated anew: "
        f"selfopt escalation {escape_control(rule.model, 200)} {rule.phase}"
    )


def threshold_account(found: Calibration, rules: Sequence[Rule]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """A calibration in plain words: titles, each with its lines."""
    trials = (
        f"fitted on {_named(found.fitted_on)}: {_trials(len(found.fit_trials))}",
        f"calibrated on {_named(found.calibrated_on)}: {_trials(len(found.calibration_trials))}, none of which took part in the fit",
        f"the spec {found.spec_id}, served by {found.environment_id}",
        *second_trials_text(found),
    )
    return (
        ("What was claimed", (_claimed(found),)),
        ("How sure", tuple(_seen(found))),
        ("What it rests on", (*trials, "the id of every trial: --json")),
        *((("By tool set", _sets(found)),) if found.shares else ()),
        (
            "Which rules serve by it",
            tuple(f"{rule_text(r)} ({r.rule_id}): {verdict_text(r)}" for r in rules) or ("none in force",),
        ),
        ("What would change it", _would_change(found)),
    )


def _claimed(found: Calibration) -> str:
    if found.serve_when is None:
        asked = f"at most {share_text(found.max_bad_share)} of what is served is wrong, {share_text(found.confidence)}"
        return f"nothing: no threshold keeps what was asked for, {CLAIM_ON[found.claim]} {asked}"
    surely, told = found.serve_when, "wrong is every outcome but pass"
    return f"answers with a confidence of {least_text(surely.least)} or more are served: {bound_text(surely.bound)}; {told}"


def _seen(found: Calibration) -> list[str]:
    if found.serve_when is None:
        best = found.least_feasible
        return [
            "not at this bound",
            "no share of bad answers is kept by any threshold"
            if best is None
            else f"feasible on these prompts: {share_text(best)}",
        ]
    bound = found.serve_when.bound
    unit = "prompt" if bound.claim == "these_tools" else "tool set"
    return [
        f"of {bound.n} {unit}s in {bound.tool_sets} tool set{'' if bound.tool_sets == 1 else 's'}, {bound.served} were served and "
        f"{bound.bad} of these were wrong: at most {share_text(bound.upper)}, with a confidence of {share_text(bound.confidence)}",
        "it says nothing about tools that are not like these"
        if bound.claim == "these_tools"
        else "it is about tools that are not among these",
    ]


def _sets(found: Calibration) -> tuple[str, ...]:
    """What was served of each tool set, and how much of that was wrong."""
    shown = sorted(found.shares.items(), key=lambda entry: (-entry[1][0], entry[0]))
    lines = tuple(
        f"{escape_control(found.set_names.get(name, name), 60)}: {served} served, {bad} of these wrong"
        for name, (served, bad) in shown[:_MOST_SETS]
    )
    return lines if len(shown) <= _MOST_SETS else (*lines, f"{len(shown) - _MOST_SETS} more: --json")


def _would_change(found: Calibration) -> tuple[str, ...]:
    needed = found.prompts_needed
    more = (
        () if found.serve_when is not None or needed is None else (f"about {needed} more prompts, if things go on as they went",)
    )
    return (
        *more,
        "another model file, chat template, engine or variant: the threshold is void then, and everything escalates",
        "live requests of which more are not sure enough than in the calibration, or told outcomes of which more are wrong than "
        "is allowed: likewise",
        "fresh answers in a cycle that break the bound: it is withdrawn, unless a person set the rule",
        f"a new calibration: selfopt escalation {escape_control(found.model, 200)} {found.phase}",
    )


def _named(suite: str) -> str:
    return escape_control(suite, 200)


def _trials(n: int) -> str:
    return f"{n} trial" if n == 1 else f"{n} trials"
