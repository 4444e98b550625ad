"""Rules from a file that a person wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from selfopt.errors import CorruptError, NewerSchemaError, UsageError
from selfopt.home import InputFileError, parse_json_object, read_input
from selfopt.records import ROUTING_SCHEMA_VERSION, Phase, Record, Rule, RuleReason, ToolMatch
from selfopt.words.rules import reason_text, rule_text

from .changes import known_key, rule_id_of
from .store import first_problem, parsed_config

MAX_IMPORT_BYTES = 16_000_000


class _ShortRule(Record):
    """A rule as the short form writes it. A threshold needs evidence, so `routes set` alone names one."""

    model: str
    phase: Phase
    allow: bool
    fallback: str | None = None
    warm_up: bool = False
    when: ToolMatch | None = None
    reason: str = "imported"


class _ShortForm(Record):
    """`{"rules": [{"model": "lfm2.5-thinking:1.2b", "phase": "extended", "allow": false}]}`"""

    rules: tuple[_ShortRule, ...]


def imported_rules(
    path: Path, current: Sequence[Rule], resolve: Callable[[str], str], one_name: Callable[[str], str] = str
) -> tuple[Rule, ...]:
    """The whole new set of rules that importing the file gives.

    A file with `schema_version` is a whole configuration (an edited copy of routing_config.json).
    It replaces every rule; its manual rules stay manual. A file without it is the short form: its
    rules are set, and all others stay.

    Args:
        resolve: turns an alias into `provider/name`; may raise UnknownModelError.
        one_name: gives one name for all of a model.

    Raises:
        UsageError: the file is missing or is not JSON, or an entry is wrong; the message names the entry.
        NewerSchemaError: a newer selfopt wrote it.
    """
    try:
        text = read_input(path, MAX_IMPORT_BYTES)
        body = parse_json_object(text, what="the file of rules", path=path, advice="name a JSON file of rules, or correct it")
    except InputFileError as error:
        raise UsageError(f"{path}: {error}") from None
    except CorruptError as error:
        raise UsageError(str(error)) from None
    for beside in ("bans", "pays"):  # `routes show --json` tells them beside the rules
        body.pop(beside, None)
    version = body.get("schema_version")
    if isinstance(version, int) and version > ROUTING_SCHEMA_VERSION:
        raise NewerSchemaError(
            f"{path} has schema version {version}, this selfopt reads up to {ROUTING_SCHEMA_VERSION}; update selfopt"
        )
    try:
        if "schema_version" not in body:
            short = _ShortForm.model_validate_json(json.dumps(body), strict=True)
        else:
            whole = parsed_config(body).rules
    except ValueError as error:
        raise UsageError(f"{path} was not imported ({first_problem(error)}); correct that entry") from None
    if "schema_version" in body:
        return tuple(_copied(rule, resolve, reason_was_derived=version != 1) for rule in whole)
    rules = {rule.key: rule for rule in current}
    named: set[tuple[str, str, str]] = set()
    for entry in short.rules:
        model, phase = known_key(current, resolve(entry.model), entry.phase, one_name)
        new = Rule(rule_id=rule_id_of(model, phase, entry.when), model=model, phase=phase, allow=entry.allow, when=entry.when)
        if new.key in named:
            raise UsageError(f"{path} has two rules for {rule_text(new)}; keep one")
        named.add(new.key)
        rules[new.key] = rules.get(new.key, new).model_copy(update=_told(entry, resolve))
    return tuple(rules[key] for key in sorted(rules))


def _told(entry: _ShortRule, resolve: Callable[[str], str]) -> dict[str, Any]:
    """The fields of a rule that an entry of the short form sets."""
    return {
        "allow": entry.allow,
        "fallback": resolve(entry.fallback) if entry.fallback is not None else None,
        "reason": entry.reason,
        "reasons": (RuleReason(kind="import", text=entry.reason),),
        "confirmation": None,
        "source": "import",
        "recommendation_ids": (),
        "evidence": (),
        "serve_when": None,
        "voided": None,
        **({"warm_up": entry.warm_up} if "warm_up" in entry.model_fields_set else {}),
    }


def _copied(rule: Rule, resolve: Callable[[str], str], *, reason_was_derived: bool) -> Rule:
    """A rule of an edited copy of the configuration, with its names resolved."""
    model = resolve(rule.model)
    update: dict[str, Any] = {
        "model": model,
        "fallback": resolve(rule.fallback) if rule.fallback is not None else None,
        "rule_id": rule_id_of(model, rule.phase, rule.when),
        "source": "manual" if rule.source == "manual" else "import",
    }
    if reason_was_derived and rule.reason != reason_text(rule.reasons, rule.confirmation):
        # A person wrote another reason into the copy.
        update |= {"reasons": (RuleReason(kind="import", text=rule.reason),), "confirmation": None}
    return rule.model_copy(update=update)
