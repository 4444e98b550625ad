"""Rules from a file that a person wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from selfopt.errors import NewerSchemaError, UsageError
from selfopt.home import parse_json_object, read_text_bounded
from selfopt.records import ROUTING_SCHEMA_VERSION, Phase, Record, Rule, RuleReason
from selfopt.words.rules import reason_text

from .changes import rule_id_of
from .store import first_problem, parsed_config

MAX_IMPORT_BYTES = 16_000_000


R = TypeVar("R", bound=Record)


class _ShortRule(Record):
    """A rule as the short form writes it."""

    model: str
    phase: Phase
    allow: bool
    fallback: str | None = None
    warm_up: bool = False
    reason: str = "imported"


class _ShortForm(Record):
    """`{"rules": [{"model": "lfm2.5-thinking:1.2b", "phase": "extended", "allow": false}]}`"""

    rules: tuple[_ShortRule, ...]


def imported_rules(path: Path, current: Sequence[Rule], resolve: Callable[[str], str]) -> tuple[Rule, ...]:
    """The whole new set of rules that importing the file gives.

    A file with `schema_version` is a whole configuration (an edited copy of routing_config.json) and replaces every rule;
    its manual rules stay manual. One without is the short form: its rules are set, all others stay. resolve turns an alias
    into `provider/name` and may raise UnknownModelError.

    Raises UsageError for a missing file or a wrong entry (named), CorruptError for no JSON, NewerSchemaError.
    """
    what = "the file of rules"
    try:
        body = parse_json_object(read_text_bounded(path, what, MAX_IMPORT_BYTES), what=what, path=path)
    except FileNotFoundError:
        raise UsageError(f"no file {path}; name a JSON file of rules") from None
    if "schema_version" in body:
        return _whole(path, body, resolve)
    short = _checked(path, lambda: _ShortForm.model_validate_json(json.dumps(body), strict=True))
    rules = {(rule.model, rule.phase): rule for rule in current}
    named: set[tuple[str, str]] = set()
    for entry in short.rules:
        model = resolve(entry.model)
        if (model, entry.phase) in named:
            raise UsageError(f"{path} has two rules for {model} {entry.phase}; keep one")
        named.add((model, entry.phase))
        old = rules.get((model, entry.phase)) or Rule(
            rule_id=rule_id_of(model, entry.phase), model=model, phase=entry.phase, allow=entry.allow
        )
        said: dict[str, Any] = {
            "allow": entry.allow,
            "fallback": resolve(entry.fallback) if entry.fallback is not None else None,
            "reason": entry.reason,
            "reasons": (RuleReason(kind="import", text=entry.reason),),
            "confirmation": None,
            "source": "import",
            "recommendation_ids": (),
            "evidence": (),
        }
        if "warm_up" in entry.model_fields_set:
            said["warm_up"] = entry.warm_up
        rules[model, entry.phase] = old.model_copy(update=said)
    return tuple(rules[key] for key in sorted(rules))


def _whole(path: Path, body: dict[str, Any], resolve: Callable[[str], str]) -> tuple[Rule, ...]:
    version = body["schema_version"]
    if isinstance(version, int) and version > ROUTING_SCHEMA_VERSION:
        raise NewerSchemaError(
            f"{path} has schema version {version}, this selfopt reads up to {ROUTING_SCHEMA_VERSION}; update selfopt"
        )
    rules = []
    for rule in _checked(path, lambda: parsed_config(body)).rules:
        model = resolve(rule.model)
        update: dict[str, Any] = {
            "model": model,
            "fallback": resolve(rule.fallback) if rule.fallback is not None else None,
            "rule_id": rule_id_of(model, rule.phase),
            "source": "manual" if rule.source == "manual" else "import",
        }
        if version != 1 and rule.reason != reason_text(rule.reasons, rule.confirmation):
            # A person wrote another reason into the copy.
            update |= {"reasons": (RuleReason(kind="import", text=rule.reason),), "confirmation": None}
        rules.append(rule.model_copy(update=update))
    return tuple(rules)


def _checked(path: Path, parse: Callable[[], R]) -> R:
    try:
        return parse()
    except ValueError as error:
        raise UsageError(f"{path} was not imported ({first_problem(error)}); correct that entry") from None
