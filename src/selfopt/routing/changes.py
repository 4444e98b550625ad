"""Compares two sets of rules, and checks that a set of rules is possible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from selfopt.errors import UsageError
from selfopt.home import escape_control
from selfopt.records import Phase, RoutingConfig, Rule, ToolMatch, content_hash
from selfopt.words.rules import change_text, rule_text

from .finer import check_finer, finer_cycle

ChangeEvent = Literal["rule_added", "rule_changed", "rule_removed"]
MAX_RULES = 10_000


def rule_id_of(model: str, phase: str, when: ToolMatch | None = None) -> str:
    """The id of the rule for a model, phase and tools. It is the same in every version and every home."""
    return content_hash("rule", [model, phase] if when is None else [model, phase, when.key])


def known_key(rules: Iterable[Rule], model: str, phase: Phase, one_name: Callable[[str], str]) -> tuple[str, Phase]:
    """The model and phase of the rule for a model and phase, as that rule spells it; else model and phase as given."""
    names = [rule.model for rule in rules if rule.phase == phase and one_name(rule.model) == one_name(model)]
    return (model if model in names or not names else names[0]), phase


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One rule before and after. before is None if it was added, after is None if it was removed."""

    before: Rule | None
    after: Rule | None

    @property
    def event(self) -> ChangeEvent:
        """The name of the change in the audit trail."""
        if self.before is None:
            return "rule_added"
        return "rule_removed" if self.after is None else "rule_changed"

    @property
    def rule(self) -> Rule:
        """The rule after the change, or the removed one."""
        rule = self.after if self.after is not None else self.before
        if rule is None:
            raise ValueError("a change without a rule")
        return rule

    def describe(self) -> str:
        """The change in one line for people, such as `+ model phase: deny, fallback b` (see
        `change_text`).
        """
        return change_text(self.before, self.after)


def _same_rule(one: Rule, other: Rule) -> bool:
    """Whether two rules are equal except for their `since_version`."""
    return one.model_copy(update={"since_version": 0}) == other.model_copy(update={"since_version": 0})


def diff(old: RoutingConfig | Sequence[Rule], new: RoutingConfig | Sequence[Rule]) -> tuple[RuleChange, ...]:
    """The changes from old to new, ordered by model, phase and tools; empty if there are none."""
    before, after = _by_key(old), _by_key(new)
    pairs = ((before.get(key), after.get(key)) for key in sorted(before.keys() | after.keys()))
    return tuple(RuleChange(one, other) for one, other in pairs if one is None or other is None or not _same_rule(one, other))


def merged(
    base: RoutingConfig | Sequence[Rule], mine: RoutingConfig | Sequence[Rule], theirs: RoutingConfig | Sequence[Rule]
) -> tuple[tuple[Rule, ...], tuple[RuleChange, ...]]:
    """Put what was changed from base to mine into theirs, where a rule was changed on one side only.

    Returns:
        The rules, and the changes of mine that were left out because theirs has changed the same rules
        in another way.
    """
    found, changed = _by_key(theirs), {change.rule.key for change in diff(base, theirs)}
    left_out = []
    for change in diff(base, mine):
        key = change.rule.key
        there = found.get(key)
        if key in changed:
            if there is None or change.after is None or not _same_rule(there, change.after):
                left_out += [change] if there is not None or change.after is not None else []
        elif change.after is None:
            del found[key]
        else:
            found[key] = change.after
    return tuple(found[key] for key in sorted(found)), tuple(left_out)


def _by_key(rules: RoutingConfig | Sequence[Rule]) -> dict[tuple[str, str, str], Rule]:
    items = rules.rules if isinstance(rules, RoutingConfig) else rules
    return {rule.key: rule for rule in items}


def fallback_cycle(rules: Iterable[Rule], start: Rule) -> tuple[str, ...] | None:
    """The models of the circle in which the fallbacks lead from `start` back to it; None if they do
    not.
    """
    known: dict[str, list[Rule]] = {}
    for rule in rules:
        if rule.phase == start.phase:
            known.setdefault(rule.model, []).append(rule)
    if any(rule.when is not None for mine in known.values() for rule in mine):
        return finer_cycle(known, start)
    path, name = [start.model], start.fallback
    while name is not None and name not in path:
        path.append(name)
        name = next((rule.fallback for rule in known.get(name, ())), None)
    return (*path, start.model) if name == start.model else None


def check_rules(rules: Sequence[Rule]) -> None:
    """Checks that a set of rules is possible.

    Raises:
        UsageError: there are two rules for the same requests, a rule has no model or another rule's
            id, the fallbacks go in a circle, an answer that is not sure has nowhere to go, or there
            are too many rules.
    """
    if len(rules) > MAX_RULES:
        raise UsageError(f"{len(rules)} rules, at most {MAX_RULES} are allowed; remove some")
    seen: set[tuple[str, str, str]] = set()
    for rule in rules:
        name = rule_text(rule)
        if not rule.model:
            raise UsageError("a rule has an empty model name; write provider/name")
        if rule.key in seen:
            raise UsageError(f"two rules for {name}; keep one")
        seen.add(rule.key)
        if rule.rule_id != rule_id_of(rule.model, rule.phase, rule.when):
            raise UsageError(f"the rule of {name} has the id {escape_control(rule.rule_id, 80)}; leave rule_id out")
    check_finer(rules)
    for rule in rules:
        if cycle := fallback_cycle(rules, rule):
            raise UsageError(
                f"the fallbacks of {rule.phase} go in a circle ({escape_control(' -> '.join(cycle), 400)}); change one of them"
            )
