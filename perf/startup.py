"""What `selfopt --help` costs beyond `python -c pass`, in CPU seconds. Target: at most 0.15; missing it is said, not failed.

Both are started in turn, so that what else the machine does meets both alike; the figure is the median of the differences
between neighbours. The ratio to the bare interpreter hardly depends on the machine's speed. Prints one JSON object and one
readable line.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys

TARGET_S = 0.15
BARE = ("-c", "pass")
OURS = ("-c", "import sys; from selfopt.cli import main; sys.argv = ['selfopt', '--help']; main()")


def cpu_s(arguments: tuple[str, ...]) -> float:
    """User and system CPU seconds of one child process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="CPU of starting the command line")
    parser.add_argument("--rounds", type=int, default=21)
    options = parser.parse_args()
    for arguments in (BARE, OURS):  # byte code and page cache
        cpu_s(arguments)
    pairs = [(cpu_s(BARE), cpu_s(OURS)) for _ in range(max(1, options.rounds))]
    extra_s = statistics.median(ours - bare for bare, ours in pairs)
    figures = {
        "rounds": len(pairs),
        "bare_interpreter_s": round(statistics.median(bare for bare, _ in pairs), 4),
        "help_s": round(statistics.median(ours for _, ours in pairs), 4),
        "extra_s": round(extra_s, 4),
        "ratio": round(statistics.median(ours / max(bare, 1e-6) for bare, ours in pairs), 2),
        "load_average": [round(x, 2) for x in os.getloadavg()],
        "target_s": TARGET_S,
        "within_target": extra_s <= TARGET_S,
    }
    verdict = "within target" if figures["within_target"] else "over target"
    print(json.dumps(figures))
    print(f"selfopt --help costs {extra_s:.3f} s of CPU beyond python -c pass, target {TARGET_S:g} s: {verdict}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
