"""What `selfopt --help` costs beyond `python -c pass`, in CPU seconds: at most 0.15.

Both are started in turn, so that what else the machine does meets both alike; the figure is the median of the differences
between neighbours. The ratio to the bare interpreter is printed too: it does not depend on the machine's speed.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

ROUNDS = 21
LIMIT_S = 0.15
GATE_EXIT_CODE = 100


def cpu_s(arguments: list[str]) -> float:
    """User and system CPU seconds of one child process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def main() -> int:
    """Measure and judge."""
    bare, ours = ["-c", "pass"], ["-c", "from selfopt.cli import main; import sys; sys.argv = ['selfopt', '--help']; main()"]
    for arguments in (bare, ours):  # byte code and page cache
        cpu_s(arguments)
    pairs = [(cpu_s(bare), cpu_s(ours)) for _ in range(ROUNDS)]
    extra_s = statistics.median(two - one for one, two in pairs)
    ratio = statistics.median(two for _, two in pairs) / max(statistics.median(one for one, _ in pairs), 1e-6)
    bare_ms = statistics.median(one for one, _ in pairs) * 1000
    print(
        f"python -c pass {bare_ms:.0f} ms of CPU; selfopt --help {extra_s * 1000:.0f} ms more ({ratio:.1f} times), limit {LIMIT_S * 1000:.0f}"
    )
    print("PASS" if extra_s <= LIMIT_S else "FAIL")
    return 0 if extra_s <= LIMIT_S else GATE_EXIT_CODE


if __name__ == "__main__":
    sys.exit(main())
