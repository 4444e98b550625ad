"""The specification's variance detection: `selfopt supervise MODEL PHASE [VARIANT]`, 7 runs.

    python3 benchmark_supervisor.py lfm2.5 atomic --enable-warmup

Warm-up comes before the first run only; its status is part of the result.
"""

import _bench

# isort: split
from selfopt.verbs.specification import supervise

__all__ = ["supervise"]

if __name__ == "__main__":
    _bench.command("supervise")
