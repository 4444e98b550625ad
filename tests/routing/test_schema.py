"""The shipped JSON schema."""

from __future__ import annotations

import json

import jsonschema
import pytest

from selfopt.records import RoutingConfig, Rule
from selfopt.routing import SCHEMA_PATH, Enforcer, routing_config_schema
from selfopt.routing.store import rules_hash, schema_text

from .make import spec


def test_the_shipped_schema_is_current() -> None:
    """It is what the record gives; selfopt.routing.store says how to rewrite it."""
    assert SCHEMA_PATH.read_text("utf-8") == schema_text()


def test_a_real_configuration_fits_and_a_wrong_one_does_not(enforcer: Enforcer) -> None:
    """Checked by an independent validator."""
    schema = routing_config_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    enforcer.enforce([], promoted={("a/1", "extended"): spec("a/1")})
    body = json.loads(enforcer.home.routing_config.read_text())
    jsonschema.validate(body, schema)
    for wrong in ({**body, "later": 1}, {**body, "rules": [{**body["rules"][0], "phase": "middle"}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_a_field_that_is_not_used_leaves_rules_and_their_hash_as_they_were() -> None:
    """Files of before keep the hash that the trail sealed; with the field there is another."""
    rule = Rule(rule_id="rule-1", model="a/b", phase="atomic", allow=True)
    config = RoutingConfig(version=1, rules=(rule,))
    assert "fallback_on_unparsed" not in config.model_dump_json()
    used = config.model_copy(update={"rules": (rule.model_copy(update={"fallback_on_unparsed": True}),)})
    assert RoutingConfig.model_validate_json(used.model_dump_json()) == used
    assert rules_hash(used) != rules_hash(config)
    assert rules_hash(RoutingConfig.model_validate_json(config.model_dump_json())) == rules_hash(config)
