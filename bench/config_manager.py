"""The specification's configuration: one tree out of specification.toml, environment and flags, checked as a whole.

python3 config_manager.py             the settings in force, as JSON (keys are never shown)
python3 config_manager.py rules       the rules in force (routing_config.json)
"""

import _bench

# isort: split
import sys

from selfopt.verbs.opening import Settings
from selfopt.verbs.specification import load_settings, routing_config_schema

__all__ = ["Settings", "load_settings", "routing_config_schema"]


def main() -> int:
    """Print the settings in force."""
    _bench.set_environment()
    print(_bench.guarded(load_settings).model_dump_json(indent=2))
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["rules"]:
        del sys.argv[1]
        _bench.command("routes", "show")
    _bench.without_arguments(__doc__)
    sys.exit(main())
