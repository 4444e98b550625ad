"""The specification's decision gates.

python3 self_optimizing_policy.py                   the gates and their thresholds in force
python3 self_optimizing_policy.py lfm2.5 atomic     `selfopt decide`: measured candidates through the gates
"""

import _bench

# isort: split
import sys

from selfopt.records import PolicyThresholds
from selfopt.verbs.specification import decide, load_settings

__all__ = [
    "atomic_phase_min_accuracy",
    "decide",
    "extended_phase_min_accuracy",
    "extended_phase_recommended_accuracy",
    "max_variance",
    "min_runs",
    "promote_margin",
    "restraint_min",
]

_DEFAULTS = PolicyThresholds()
min_runs = _DEFAULTS.min_runs
promote_margin = _DEFAULTS.promote_margin
restraint_min = _DEFAULTS.restraint_min
max_variance = _DEFAULTS.max_variance
extended_phase_min_accuracy = _DEFAULTS.extended_phase_min_accuracy
extended_phase_recommended_accuracy = _DEFAULTS.extended_phase_recommended_accuracy
atomic_phase_min_accuracy = _DEFAULTS.atomic_phase_min_accuracy


def main() -> int:
    """Print the thresholds in force, one a line."""
    _bench.set_environment()
    for name, value in _bench.guarded(load_settings).policy.model_dump(mode="json").items():
        print(f"{name} = {str(value).lower() if isinstance(value, bool) else value}")
    return 0


if __name__ == "__main__":
    if sys.argv[1:]:
        _bench.command("decide")
    sys.exit(main())
