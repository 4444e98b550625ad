"""Does the evaluator of the Berkeley Function Calling Leaderboard find in our result files what we found?

    python perf/bfcl_export.py [--category NAME ...] [--limit N] [--seed TEXT] [--json]

A scripted model answers prompts of the leaderboard's single-turn categories, about half of them wrongly (perf/bfcl/mutations.py).
`selfopt run` measures it, `selfopt export bfcl --as NAME` writes the files, and `bfcl_eval.eval_checker.eval_runner` of
bfcl-eval 2026.3.23 evaluates them: the package as it is, with the dependencies that its evaluator imports
(perf/bfcl/evaluator.txt), in an environment of its own in the cache folder, made once in about a minute.

Prints both counts for each category and every prompt on which they differ. Left out are integers that are too large for a
float: the evaluator ends at them. Where the package cannot be had it says "not run".
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bfcl.mutations import Calls, replies
from selfopt.engine.store import ModelStore
from selfopt.errors import SelfoptError
from selfopt.records import Prompt, Suite
from selfopt.suites.importers.bfcl import import_bfcl
from selfopt.suites.importers.bfcl_files import BFCL_CATEGORIES
from selfopt.verbs.bfcl import BFCL_WHEEL

NAME = "gpt-4o-2024-11-20-FC"
"""Whose files they pretend to be: a model with function calling and underscores for dots."""
_ENDS_IT = re.compile(r"\d{300}")
NEEDS = Path(__file__).with_name("bfcl") / "evaluator.txt"


@dataclass(frozen=True, slots=True)
class Compared:
    """One category. ours, theirs: prompts that each found right; differ: those on which they do not agree."""

    category: str
    prompts: int
    ours: int
    theirs: int
    differ: tuple[str, ...]


def prepared() -> tuple[Path, Path]:
    """The wheel, and a Python that has the evaluator."""
    root = ModelStore.default().root
    wheel = ModelStore(root, folder="data", file="data.whl").pull(BFCL_WHEEL, lambda _: None)
    folder = root / "perf" / f"bfcl-evaluator-{BFCL_WHEEL.sha256[:12]}"
    python, ready = folder / "env" / "bin" / "python", folder / "ready"
    if not ready.exists() or ready.read_text("utf-8") != NEEDS.read_text("utf-8"):
        venv.EnvBuilder(with_pip=False, clear=True).create(folder / "env")
        named = folder / BFCL_WHEEL.file  # pip goes by the name
        named.write_bytes(wheel.read_bytes())
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check"]
        for more in ([str(named)], ["-r", str(NEEDS)]):
            subprocess.run([*pip, "--no-deps", "--only-binary", ":all:", *more], check=True, capture_output=True)
        ready.write_text(NEEDS.read_text("utf-8"), "utf-8")
    return wheel, python


def scripted(suite: Suite, limit: int, seed: str) -> dict[str, Any]:
    """A script in which each prompt has one answer, by chance a right or a wrong one."""
    answers = []
    for prompt in suite.prompts[:limit]:
        rng = random.Random(f"{seed} {prompt.id}")
        made = [calls for _, calls in replies(prompt, suite.tools_of(prompt), seed) if not _ENDS_IT.search(repr(calls))]
        calls = made[0] if rng.random() < 0.5 else rng.choice(made)  # the first one is right
        answers.append({"match": {"contains": _said(prompt)}, **_reply(calls)})
    return {"models": {"board": {"replies": answers, "default": {"text": "I cannot say."}}}}


def _said(prompt: Prompt) -> str:
    return next(message.content for message in reversed(prompt.messages) if message.role == "user")


def _reply(calls: Calls) -> dict[str, Any]:
    if not calls:
        return {"text": "There is nothing to call."}
    return {"tool_calls": [{"name": name.replace(".", "_"), "arguments": json.dumps(arguments)} for name, arguments in calls]}


def run(command: Sequence[str], folder: Path, environ: dict[str, str]) -> None:
    """Run a program in a folder; end with what it said where it fails."""
    done = subprocess.run(command, cwd=folder, env=environ, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")


def compare(wheel: Path, python: Path, names: Sequence[str], limit: int, seed: str) -> list[Compared]:
    """Measure, export, have it evaluated, and put both beside each other."""
    suites = list(import_bfcl(wheel, names))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "own.toml").write_text('[endpoints.scripted]\nkind = "scripted"\nscript = "script.json"\n', "utf-8")
        environ = {**os.environ, "SELFOPT_CONFIG": str(folder / "own.toml"), "SELFOPT_HOME": str(folder / "home")}
        selfopt = [sys.executable, "-m", "selfopt"]
        picked = [word for name in names for word in ("--category", name)]
        run([*selfopt, "suites", "import", "bfcl", "--from", str(wheel), *picked], folder, environ)
        for suite in suites:
            (folder / "script.json").write_text(json.dumps(scripted(suite, limit, seed), ensure_ascii=False), "utf-8")
            measured = ["run", "scripted/board", "atomic", "--suite", suite.name, "--split", "all", "--limit", str(limit)]
            run([*selfopt, *measured], folder, environ)
        run([*selfopt, "export", "bfcl", "--out", "board", "--as", NAME], folder, environ)
        evaluator = [str(python), "-m", "bfcl_eval.eval_checker.eval_runner", "--model", NAME, "--partial-eval"]
        theirs = {**environ, "BFCL_PROJECT_ROOT": str(folder / "board"), "OPENAI_API_KEY": "none is needed"}
        run([*evaluator, "--test-category", *names, "--score-dir", "official"], folder, theirs)
        return [_compared(folder / "board", suite.name.removeprefix("bfcl_")) for suite in suites]


def _compared(board: Path, category: str) -> Compared:
    found = {}
    for whose in ("score", "official"):
        (path,) = (board / whose).rglob(f"BFCL_v4_{category}_score.json")
        head, *wrong = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        found[whose] = head, {row["id"] for row in wrong}
    (ours, mine), (theirs, others) = found["score"], found["official"]
    assert ours["total_count"] == theirs["total_count"]
    differ = tuple(sorted(mine ^ others))
    return Compared(category, ours["total_count"], ours["correct_count"], theirs["correct_count"], differ)


def main() -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(description="our result files before the evaluator of BFCL")
    parser.add_argument("--category", action="append", choices=list(BFCL_CATEGORIES), help="only this one; may be repeated")
    parser.add_argument("--limit", type=int, default=100, help="prompts of each category")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    options = parser.parse_args()
    try:
        wheel, python = prepared()
    except (SelfoptError, OSError, subprocess.CalledProcessError) as error:
        reason = str(getattr(error, "stderr", None) or error).strip()
        print(json.dumps({"not_run": reason}) if options.json else f"not run: the official package could not be had: {reason}")
        return 0
    found = compare(wheel, python, options.category or list(BFCL_CATEGORIES), options.limit, options.seed)
    if options.json:
        print(json.dumps({"seed": options.seed, "categories": [asdict(one) for one in found]}, indent=2))
        return 0
    print(f"{'category':24} {'prompts':>7} {'ours':>6} {'theirs':>6} {'differ':>6}")
    for one in found:
        print(f"{one.category:24} {one.prompts:7} {one.ours:6} {one.theirs:6} {len(one.differ):6}  {' '.join(one.differ)}")
    print(f"they differ on {sum(len(one.differ) for one in found)} of {sum(one.prompts for one in found)} prompts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
