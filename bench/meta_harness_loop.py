"""The specification's cycles: `selfopt loop`.

    python3 meta_harness_loop.py --cycles 1 --baseline "..."     the ledger's baselines, else the settings' default
    python3 meta_harness_loop.py --cycles 1 --baseline "lfm2.5 atomic native_api"
    python3 meta_harness_loop.py --report                        only writes the reports
    python3 meta_harness_loop.py --dry-run                       plan, trials and rules; writes nothing

Further flags: --candidates FILE, --json; all of them: --help.
"""

import _bench

# isort: split
import sys

from selfopt.verbs.looping import run_loop

__all__ = ["run_loop", "without_ellipsis"]

ELLIPSIS = ("...", "…")


def without_ellipsis(words: list[str]) -> list[str]:
    """The words without `--baseline "..."`, which the specification writes for "the baseline there is"."""
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in [f"--baseline={e}" for e in ELLIPSIS]:
            continue
        if word != "--baseline":
            kept.append(word)
            continue
        value = next(rest, None)
        if value not in ELLIPSIS:
            kept += [word] if value is None else [word, value]
    return kept


if __name__ == "__main__":
    sys.argv[1:] = without_ellipsis(sys.argv[1:])
    _bench.command("loop", ready="--report" in sys.argv)
