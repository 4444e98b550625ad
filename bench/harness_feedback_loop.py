"""The specification's recommendations: `selfopt feedback`; the last 8 evaluations -> harness_feedback.json.

python3 harness_feedback_loop.py
"""

import _bench

# isort: split
from selfopt.verbs.specification import analyze

__all__ = ["analyze"]

if __name__ == "__main__":
    _bench.command("feedback", ready=True, rules=False)
