"""The shipped JSON schema of routing_config.json, generated from the record.

`python -c "from selfopt.routing.schema import *; SCHEMA_PATH.write_text(schema_text())"` rewrites it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from selfopt.records import RoutingConfig

SCHEMA_PATH = Path(__file__).with_name("routing_config.schema.json")


def routing_config_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of routing_config.json."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | RoutingConfig.model_json_schema()


def schema_text() -> str:
    """The text of the shipped file."""
    return json.dumps(routing_config_schema(), indent=2, sort_keys=True) + "\n"
