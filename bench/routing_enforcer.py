"""The specification's enforcer: `selfopt enforce`; harness_feedback.json -> routing_config.json, audited first.

python3 routing_enforcer.py
"""

import _bench

# isort: split
from selfopt.verbs.specification import generate_routing_rules

__all__ = ["generate_routing_rules"]

if __name__ == "__main__":
    _bench.command("enforce", ready=True, rules=False)
