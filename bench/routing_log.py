"""The specification's audit trail: `selfopt audit show`; `python3 routing_log.py --last 50` shows more of it."""

import _bench

# isort: split
from selfopt.verbs.specification import log_routing_decision

__all__ = ["log_routing_decision"]

if __name__ == "__main__":
    _bench.command("audit", "show")
