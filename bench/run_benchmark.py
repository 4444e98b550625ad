"""The specification's main runner: `selfopt run MODEL PHASE [VARIANT]`, under the rules in force.

    python3 run_benchmark.py lfm2.5-thinking:1.2b extended extended

Flags among others: --enable-warmup, --force-model; all of them: --help. Logs `Routed from <model> to <fallback>` and
`Warm-up complete`.
"""

import _bench

# isort: split
from selfopt.verbs.specification import validate_model_phase_compatibility

__all__ = ["validate_model_phase_compatibility"]

if __name__ == "__main__":
    _bench.command("run", ready=True)
