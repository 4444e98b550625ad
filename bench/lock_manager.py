"""The specification's stale lock handling: a lock holds pid and process start time; one whose process is gone is cleared.

python3 lock_manager.py       who holds the bench home's lock, if anybody
"""

import _bench

# isort: split
import sys

from selfopt.verbs.opening import App
from selfopt.verbs.specification import LockOwner, ProcessLock

__all__ = ["LockOwner", "ProcessLock"]


def main() -> int:
    """Print the live owner of the lock, or that it is free."""
    _bench.set_environment()
    path = _bench.guarded(App.open).home.lock
    owner = ProcessLock(path).owner()
    stale = " (a stale one is there; the next command clears it)" if owner is None and path.exists() else ""
    print(f"{path}: held by {owner}" if owner is not None else f"{path}: free{stale}")
    return 0


if __name__ == "__main__":
    _bench.without_arguments(__doc__)
    sys.exit(main())
