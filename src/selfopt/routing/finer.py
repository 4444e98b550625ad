"""Checks what rules say about tools and thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from selfopt.errors import UsageError
from selfopt.home import escape_control
from selfopt.records import Rule, ToolMatch
from selfopt.words.rules import rule_text

from .matching import RouteOptions

MAX_FINER = 1_000
"""The most rules of one model and phase that look at tools."""

_MOST_STEPS = 1_000


def finer_cycle(known: Mapping[str, Sequence[Rule]], start: Rule) -> tuple[str, ...] | None:
    """The models of a circle that some request may go round in, from `start` back to it.

    None if there is none, or none is found in a bounded number of steps. A request that goes round
    in one after all is refused once it comes by a model again.

    known: the rules of one phase, by model.
    """
    whens: tuple[ToolMatch, ...] = () if start.when is None else (start.when,)
    ends: list[tuple[tuple[str, ...], str | None, tuple[ToolMatch, ...]]] = [((start.model,), start.fallback, whens)]
    for _ in range(_MOST_STEPS):
        if not ends:
            return None
        path, name, whens = ends.pop()
        if name == start.model and _decides(start, known.get(name, ()), whens):
            return (*path, name)
        if name is None or name in path:
            continue
        for rule in known.get(name, ()):
            met = whens if rule.when is None else (*whens, rule.when)
            if _decides(rule, known[name], met) and (rule.when is None or all(map(rule.when.meets, whens))):
                ends.append(((*path, name), rule.fallback, met))
    return None


def _decides(rule: Rule, rivals: Sequence[Rule], whens: Sequence[ToolMatch]) -> bool:
    """Whether a rule may decide about a request that matches all of `whens`.

    Not if a more specific rule of its model takes them all.
    """
    mine = _rank(rule.when)
    return not any(other.when is not None and _rank(other.when) > mine and any(map(other.when.covers, whens)) for other in rivals)


def _rank(when: ToolMatch | None) -> tuple[float, ...]:
    return () if when is None else when.precedence


def check_finer(rules: Iterable[Rule]) -> None:
    """Checks what rules say about tools and thresholds.

    Raises:
        UsageError: two rules of a model are as specific as each other and may match the same
            request; or a rule says how sure an answer has to be, and not which model answers then.
    """
    groups: dict[tuple[str, str], list[Rule]] = {}
    for rule in rules:
        if rule.serve_when is not None:
            _check_escalation(rule)
        if rule.when is not None:
            groups.setdefault((rule.model, rule.phase), []).append(rule)
    for (model, phase), finer in groups.items():
        if len(finer) > MAX_FINER:
            shown = f"{escape_control(model, 200)} {phase}"
            raise UsageError(f"{len(finer)} rules of {shown} look at tools, at most {MAX_FINER} may; remove some")
        if tie := _tie(finer):
            one, other = tie
            raise UsageError(
                f"two rules are as specific as each other, and one request may match both: {rule_text(one)} ({one.rule_id}) and "
                f"{rule_text(other)} ({other.rule_id}); narrow one of them, or remove it with `selfopt routes remove`"
            )


def _tie(rules: Sequence[Rule]) -> tuple[Rule, Rule] | None:
    """Two rules of one model and phase between which nothing decides; None if there are none."""
    rivals: dict[object, list[tuple[Rule, ToolMatch]]] = {}
    for rule in rules:
        if (when := rule.when) is not None:
            among = rivals.setdefault((when.precedence, when.tool_set), [])  # other tool sets are other requests
            for other, theirs in among:
                if when.meets(theirs):
                    return other, rule
            among.append((rule, when))
    return None


def _check_escalation(rule: Rule) -> None:
    name, how = (
        rule_text(rule),
        "name a stronger model with `selfopt routes set MODEL PHASE --allow --fallback MODEL --serve-when ID`",
    )
    if not rule.allow:
        raise UsageError(f"the rule of {name} denies the model and serves it when sure; say one of the two")
    if rule.fallback is None:
        raise UsageError(f"the rule of {name} serves when sure and has no fallback for the rest; {how}")
    if rule.fallback == rule.model:
        raise UsageError(f"the rule of {name} serves when sure and its fallback is the model itself; {how}")


def check_escalations(rules: Iterable[Rule], options: RouteOptions) -> None:
    """Checks that what is not sure enough has somewhere to go, with the user's consent.

    Raises:
        UsageError: a rule serves when sure, and its fallback is the model itself under another name,
            or no model that can be asked, or a remote one without consent.
    """
    for rule in rules:
        if rule.serve_when is None or rule.fallback is None:
            continue
        shown, how = escape_control(rule.fallback, 200), "name another with `selfopt routes set`"
        told = f"the rule of {rule_text(rule)} serves when sure, and its fallback {shown}"
        if options.one_name(rule.fallback) == options.one_name(rule.model):
            raise UsageError(f"{told} is the model itself; {how}")
        if not options.exists(rule.fallback):
            raise UsageError(f"{told} is no model of an endpoint in the settings; {how}, or add its endpoint")
        if options.is_local(rule.model) and not options.is_local(rule.fallback) and not options.allow_remote:
            raise UsageError(
                f"{told} is remote, while allow_remote is off: prompts for a local model would leave this machine; "
                f"{how} that is local, or set allow_remote = true"
            )
