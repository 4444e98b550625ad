"""Rules of a model that has several names."""

from __future__ import annotations

import json

from selfopt.home import Home
from selfopt.routing import Enforcer, RuleOptions, generate_routing_rules

from .make import advice, config, rule, spec


def _lower(name: str) -> str:
    return name.lower().removesuffix(":latest")


def test_a_rule_keeps_its_name_whatever_name_changes_it(home: Home) -> None:
    """By hand, by import and by recommendation: one model has one rule."""
    enforcer = Enforcer(home, one_name=_lower)
    enforcer.set_rule("a/m:latest", "extended", allow=True)
    enforcer.set_rule("a/M", "extended", allow=False)
    file = home.root / "rules.json"
    file.write_text(json.dumps({"rules": [{"model": "a/m", "phase": "extended", "allow": True}]}), "utf-8")
    enforcer.import_file(file)
    enforcer.enforce([advice(1, "a/m")], promoted={("a/M:latest", "extended"): spec("a/M:latest")})
    (found,) = enforcer.load().rules
    assert (found.model, found.allow, found.variant is not None) == ("a/m:latest", False, True)


def test_of_two_rules_under_two_names_setting_one_leaves_one(home: Home) -> None:
    """An old home may hold both."""
    enforcer = Enforcer(home, one_name=_lower)
    enforcer.apply([rule("a/m"), rule("a/m:latest", allow=False), rule("a/m", phase="atomic")])
    enforcer.set_rule("a/m", "extended", allow=False)
    assert [(r.model, r.phase) for r in enforcer.load().rules] == [("a/m", "atomic"), ("a/m", "extended")]


def test_without_other_names_every_spelling_has_its_own_rule() -> None:
    """As for most kinds of endpoints."""
    rules = generate_routing_rules([advice(1, "a/m:latest")], config(rule("a/m")), options=RuleOptions())
    assert [(r.model, r.allow) for r in rules] == [("a/m", True), ("a/m:latest", False)]
