#!/usr/bin/env python3
"""What two cascades of real models do on seeded samples of BFCL, prompt by prompt.

    python perf/cascade.py                            tells the figures that come with this script; --json prints them
    python perf/cascade.py prepare --home HOME        pulls the categories and writes the three suites
    python perf/cascade.py ask --home HOME            asks each model each prompt once (hours); goes on where it stopped
    python perf/cascade.py show --home HOME [--out FILE]    asks nothing: calibrates, verifies, and prints the figures

Fit: 150 prompts of `simple_python`. Calibration: 50 each of `multiple`, `irrelevance`, `live_multiple` and `live_irrelevance`. Verification: 50
others of each, looked at once. The samples are drawn by a fixed seed. The models are asked with their own tool format, and their answers are read
as `READING` says. Prompts of `simple_python` all need a call, so a fit on them alone knows nothing of answers without. The second fit of each
cascade, `more`, also takes what the ledger holds of the search prompts of `atomic-300`. The readings were chosen on prompts of `multiple` and
`irrelevance` that are in no sample.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

SEED = "cascade of BFCL"
FIT = {"simple_python": 150}
EACH = 50
MIXED = ("multiple", "irrelevance", "live_multiple", "live_irrelevance")
SMOL, SMALL, LARGE = "local/smollm2-135m", "local/qwen2.5-coder-0.5b", "local/qwen2.5-coder-1.5b"
CASCADES = ((SMOL, SMALL), (SMALL, LARGE))
READING = {
    SMOL: "fit=yes backing=strict",
    SMALL: "fit=yes offered=yes spelling=said backing=strict",
    LARGE: "fit=yes backing=strict surety=2.5",
}
ASKED = {
    SMOL: ("fit", "calibrate", "verify"),
    SMALL: ("fit", "calibrate", "verify"),
    LARGE: ("verify",),
}
SHARES = (0.2, 0.1)
FITS = {"simple": ("cascade_fit",), "more": ("cascade_fit", "atomic-300:search")}
WAYS = ("paired_small", "large", "cascade")
KEPT = Path(__file__).parent / "data" / "cascade_bfcl.json"


def selfopt(home: Path, *words: str, quiet: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the command in this home."""
    argv = [sys.executable, "-m", "selfopt", "--home", str(home), *words]
    return subprocess.run(argv, text=True, check=False, stdout=subprocess.PIPE if quiet else None)


def _suite(home: Path, category: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((home / "suites" / f"bfcl_{category}.json").read_text(encoding="utf-8"))
    return found


def _mixture(home: Path, name: str, parts: dict[str, Sequence[str]]) -> dict[str, Any]:
    """One suite of these prompts of these categories."""
    suites = {category: _suite(home, category) for category in parts}
    prompts = [
        {key: value for key, value in prompt.items() if key != "split"}
        for category, ids in parts.items()
        for prompt in suites[category]["prompts"]
        if prompt["id"] in set(ids)
    ]
    wanted = {prompt["tool_set"] for prompt in prompts}
    tool_sets = {key: tools for suite in suites.values() for key, tools in suite["tool_sets"].items() if key in wanted}
    return {
        "schema_version": 1,
        "name": name,
        "title": f"Berkeley Function Calling Leaderboard v4, a seeded sample of {', '.join(parts)}",
        "phase": "atomic",
        "judging": "bfcl",
        "origin": "; ".join(suite["origin"] for suite in suites.values()),
        "tool_sets": tool_sets,
        "prompts": prompts,
    }


def prepare(home: Path) -> int:
    """Pull the categories and write the suites `cascade_fit`, `cascade_calibrate` and `cascade_verify`."""
    pulled = selfopt(home, "suites", "pull", "bfcl", "--category", ",".join((*FIT, *MIXED)))
    if pulled.returncode:
        return pulled.returncode
    drawn: dict[str, dict[str, Sequence[str]]] = {"fit": {}, "calibrate": {}, "verify": {}}
    for category in (*FIT, *MIXED):
        ids = [prompt["id"] for prompt in _suite(home, category)["prompts"]]
        random.Random(f"{SEED} {category}").shuffle(ids)
        if category in FIT:
            drawn["fit"][category] = ids[: FIT[category]]
        else:
            drawn["calibrate"][category], drawn["verify"][category] = ids[:EACH], ids[EACH : 2 * EACH]
    for sample, parts in drawn.items():
        name = f"cascade_{sample}"
        path = home / "suites" / f"{name}.json"
        path.write_text(json.dumps(_mixture(home, name, parts), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def ask(home: Path) -> int:
    """Ask every model its prompts. What was asked to the end before is not asked again."""
    kept = home / "cascade_asked.json"
    ended: list[list[str]] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else []
    for model, samples in ASKED.items():
        for sample in samples:
            if [model, sample] in ended:
                continue
            options = ("--suite", f"cascade_{sample}", "--split", "all", "--force-model", "--progress", "plain")
            done = selfopt(home, "run", model, "atomic", READING[model], *options)
            if done.returncode:
                return done.returncode
            ended.append([model, sample])
            kept.write_text(json.dumps(ended), encoding="utf-8")
    return 0


def _found(home: Path, small: str, large: str, share: float, fit: Sequence[str]) -> dict[str, Any] | None:
    """The figures of one cascade; None where its answers are missing, which the command says."""
    words = ["escalation", small, "atomic", "--to", large, "--variant", READING[small], "--to-variant", READING[large], "--json"]
    words += ["--max-bad-share", str(share), *(word for suite in fit for word in ("--fit", suite))]
    done = selfopt(home, *words, "--calibrate", "cascade_calibrate", "--verify", "cascade_verify", quiet=True)
    if done.returncode:
        return None
    found: dict[str, Any] = json.loads(done.stdout)
    kept = ("least", "bound", "least_feasible", "prompts_needed")
    calibration = found.get("calibration", found)
    serving = calibration.get("serve_when") or {}
    return {
        **{name: calibration.get(name, serving.get(name)) for name in kept},
        "samples": found["samples"],
        "figures": [{key: value for key, value in one.items() if key != "sets"} for one in found["figures"]],
    }


def show(home: Path, out: Path | None) -> list[dict[str, Any]]:
    """What each cascade does, fitted on either, at each share that may be wrong."""
    rows: list[dict[str, Any]] = []
    for small, large in CASCADES:
        for name, fit in FITS.items():
            found = [(share, _found(home, small, large, share, fit)) for share in SHARES]
            told = {"small": small, "large": large, "fit": name}
            rows += [{**told, "max_bad_share": share, **one} for share, one in found if one is not None]
    if out is not None:
        out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return rows


def _lines(row: dict[str, Any]) -> Iterator[str]:
    yield f"{row['small']} -> {row['large']}, fit {row['fit']}, at most {row['max_bad_share']} wrong"
    if row["least"] is None:
        yield f"  no threshold holds; the smallest share that one keeps: {row['least_feasible']}, prompts it lacks: {row['prompts_needed']}"
    else:
        yield f"  threshold {row['least']:.4f}"
    for one in row["figures"]:
        yield f"  {one['sample']}: {one['prompts']} prompts, {one['served']} served, {one['bad']} of these wrong, upper limit {one.get('upper')}"
        ways = ", ".join(f"{way} {one[way]['accuracy']:.3f} in {one[way]['latency_s']:.2f} s" for way in WAYS if one.get(way))
        if ways:
            yield f"    {one['paired']} prompts that both answered: {ways}"
        if one.get("difference"):
            value, low, high = (one["difference"][name] for name in ("value", "low", "high"))
            span = f"({low:+.3f} to {high:+.3f})" if low is not None else "(no tool set differs)"
            yield f"    both in turn less the larger alone: {value:+.3f} {span}"


def main() -> int:
    """Prepare, ask or show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("prepare", "ask", "show"), nargs="?", default="show")
    parser.add_argument("--home", type=Path, help="needed by all but the figures that come with this script")
    parser.add_argument("--out", type=Path, help="also write the figures here")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    chosen = parser.parse_args()
    if chosen.home is None and chosen.part != "show":
        parser.error(f"{chosen.part} needs --home HOME")
    if chosen.part != "show":
        return {"prepare": prepare, "ask": ask}[chosen.part](chosen.home)
    rows = json.loads(KEPT.read_text(encoding="utf-8")) if chosen.home is None else show(chosen.home, chosen.out)
    print(json.dumps(rows, indent=1) if chosen.json else "\n".join(line for row in rows for line in _lines(row)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
