"""The shipped JSON schema."""

from __future__ import annotations

import json

import jsonschema
import pytest

from selfopt.routing import SCHEMA_PATH, Enforcer, routing_config_schema
from selfopt.routing.schema import schema_text

from .make import spec


def test_the_shipped_schema_is_current() -> None:
    """It is what the record gives; `write_schema()` in selfopt.routing.schema rewrites it."""
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
