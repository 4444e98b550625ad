"""Do we judge as the official checker of the Berkeley Function Calling Leaderboard judges? Both judge the same replies.

    python perf/bfcl_parity.py [--category NAME ...] [--seed TEXT] [--json]

Replies are made from all ground truths of the wheel bfcl-eval 2026.3.23: every accepted alternative, optional arguments left
out, calls in other orders, and some hundred ways to be wrong (perf/bfcl/mutations.py), the same for the same seed. The official
checker is executed as it is, by a child process in an environment of its own in the cache folder: the package without its
dependencies, and filelock, which its loader imports (perf/bfcl/official.py says what is stood in for). Its verdict is asked for
twice, once for functions under their own names and once under the names that tools APIs take (dots as underscores), where ours
come back through the parser of native calls. The tools that a model is shown are compared too.

Prints agreement per category and every disagreement; target: at least 99.5 % in each, and missing it is said, not failed.
Where the package cannot be had it says "not run". Left out of the comparison, and counted by themselves: replies on which
the official checker raises an error instead of judging. The one class there is: an integer too large for a float, where a
float is wanted. We call those wrong; the official runner would end there.
"""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import sys
import time
import venv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bfcl.mutations import Calls, replies
from selfopt.engine.store import ModelStore
from selfopt.errors import SelfoptError
from selfopt.reading import read_calls
from selfopt.records import Outcome, ParsedReply, Prompt, ReplyContent, Suite, ToolCall, ToolDefinition
from selfopt.scoring import scorer_of
from selfopt.suites.importers.bfcl import import_bfcl
from selfopt.suites.importers.bfcl_files import BFCL_CATEGORIES
from selfopt.verbs.bfcl import BFCL_WHEEL

TARGET = 0.995
LOADER_NEEDS = "filelock==3.20.0"
JUDGE = scorer_of("bfcl").judge


@dataclass(slots=True)
class Category:
    """What was compared. right: replies that the official checker takes; raised: those it does not judge, by error."""

    name: str
    prompts: int = 0
    replies: int = 0
    right: int = 0
    agreed: int = 0
    raised: Counter[str] = field(default_factory=Counter)
    raised_but_passed: int = 0
    tools_differ: list[str] = field(default_factory=list)
    disagreements: list[dict[str, Any]] = field(default_factory=list)

    @property
    def agreement(self) -> float:
        """Share of the judged replies with the same verdict."""
        return self.agreed / self.replies if self.replies else 1.0

    def as_json(self) -> dict[str, Any]:
        """Everything, for other programs."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {**fields, "raised": dict(self.raised), "agreement": self.agreement}


class Official:
    """The official checker in its child process."""

    def __init__(self, python: Path, scratch: Path) -> None:
        script = Path(__file__).with_name("bfcl") / "official.py"
        self._child = subprocess.Popen(
            [str(python), "-I", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"BFCL_PROJECT_ROOT": str(scratch), "PATH": ""},
        )

    def ask(self, *request: Any) -> Any:
        """One request, one answer."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        pickle.dump(request, self._child.stdin)
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError(f"the official checker ended with {self._child.wait()}")
        return json.loads(line)

    def close(self) -> None:
        """End the child."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait()


def prepared() -> tuple[Path, Path, Path]:
    """The wheel, a Python that has the package (its environment is made once), and a folder for what it writes."""
    root = ModelStore.default().root
    wheel = ModelStore(root, folder="data", file="data.whl").pull(BFCL_WHEEL, lambda _: None)
    folder = root / "perf" / f"bfcl-{BFCL_WHEEL.sha256[:12]}"
    python, ready = folder / "env" / "bin" / "python", folder / "ready"
    if not ready.exists():
        venv.EnvBuilder(with_pip=False, clear=True).create(folder / "env")
        named = folder / BFCL_WHEEL.file  # pip goes by the name
        named.write_bytes(wheel.read_bytes())
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", "--only-binary", ":all:", str(named), LOADER_NEEDS], check=True, capture_output=True)
        ready.touch()
    return wheel, python, folder


def ours(prompt: Prompt, tools: tuple[ToolDefinition, ...], calls: Calls, *, native: bool) -> bool:
    """Our verdict. native: the names are those that tools APIs take."""
    made = tuple(ToolCall(name=name, arguments=arguments) for name, arguments in calls)
    parsed = ParsedReply(tool_calls=made)
    if native and made:
        parsed = read_calls(("native",), ReplyContent(tool_calls=made), tools)
    return JUDGE(prompt, tools, parsed, None).outcome is Outcome.PASS


def compare_prompt(official: Official, suite: Suite, index: int, category: Category, seed: str) -> None:
    """All replies to one prompt, under both sorts of names."""
    prompt = suite.prompts[index]
    tools = suite.tools_of(prompt)
    made = replies(prompt, tools, seed)
    for model in ("plain", "underscores"):
        native = model == "underscores"
        sent = [[(name.replace(".", "_") if native else name, arguments) for name, arguments in calls] for _, calls in made]
        said = official.ask("judge", category.name, index, model, [[{name: given} for name, given in calls] for calls in sent])
        for (label, _), calls, verdict in zip(made, sent, said, strict=True):
            passed = ours(prompt, tools, calls, native=native)
            if verdict.startswith("raised"):
                category.raised[f"{verdict} ({label})"] += 1
                category.raised_but_passed += passed
                continue
            category.replies += 1
            category.right += verdict == "valid"
            category.agreed += passed == (verdict == "valid")
            if passed != (verdict == "valid"):
                about = {"prompt": prompt.id, "names": model, "label": label, "official": verdict, "calls": repr(calls)}
                category.disagreements.append(about)


def tools_that_differ(official: Official, suite: Suite, category: str) -> Iterator[str]:
    """Functions that a model is shown otherwise than the official generator shows them, our `format: tuple` apart."""
    for prompt, shown in zip(suite.prompts, official.ask("tools", category), strict=True):
        for tool, theirs in zip(suite.tools_of(prompt), shown, strict=True):
            mine = {"name": tool.name.replace(".", "_"), "description": tool.description, "parameters": tool.parameters}
            if without_tuples(mine) != without_tuples(theirs):
                yield f"{prompt.id} {tool.name}"


def without_tuples(value: Any) -> Any:
    """The same without `format: tuple`, and without the format of what lists hold (the generator leaves that out)."""
    if isinstance(value, list):
        return [without_tuples(item) for item in value]
    if not isinstance(value, dict):
        return value
    items = value.get("items")
    kept = {k: v for k, v in value.items() if (k, v) != ("format", "tuple")}
    if isinstance(items, dict):
        kept["items"] = {k: v for k, v in items.items() if (k, v) != ("format", "float")}
    return {k: without_tuples(v) for k, v in kept.items()}


def compare(wheel: Path, official: Official, names: Sequence[str], seed: str) -> list[Category]:
    """Every category, prompt by prompt."""
    found = []
    for suite in import_bfcl(wheel, names):
        category = Category(suite.name.removeprefix("bfcl_"), prompts=len(suite.prompts))
        category.tools_differ = list(tools_that_differ(official, suite, category.name))
        for index in range(len(suite.prompts)):
            compare_prompt(official, suite, index, category, seed)
        found.append(category)
    return found


def tell(categories: Sequence[Category], seconds: float) -> None:
    """For people."""
    print(f"{'category':24} {'prompts':>7} {'replies':>8} {'right':>7} {'agreement':>10} {'differ':>6} {'no verdict':>10}")
    for c in categories:
        raised = sum(c.raised.values())
        print(f"{c.name:24} {c.prompts:7} {c.replies:8} {c.right:7} {c.agreement:10.4%} {len(c.disagreements):6} {raised:10}")
    for c in categories:
        for about in c.disagreements:
            print(
                f"{c.name}: {about['prompt']} ({about['label']}, names {about['names']}): official {about['official']}: {about['calls']}"
            )
        for what, count in c.raised.most_common():
            print(f"{c.name}: no official verdict: {what}: {count}")
        for which in c.tools_differ:
            print(f"{c.name}: shown otherwise: {which}")
    passed = sum(c.raised_but_passed for c in categories)
    print(f"passed by us where the official checker raises: {passed}; {seconds:.0f} s")
    below = [c.name for c in categories if c.agreement < TARGET]
    print(f"target {TARGET:.1%}: " + (f"missed in {', '.join(below)}" if below else "reached in every category"))


def main() -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(description="verdicts beside those of the official BFCL checker")
    parser.add_argument("--category", action="append", choices=list(BFCL_CATEGORIES), help="only this one; may be repeated")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    options = parser.parse_args()
    started = time.perf_counter()
    try:
        wheel, python, scratch = prepared()
    except (SelfoptError, OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", None) or error
        text = reason.decode(errors="replace").strip() if isinstance(reason, bytes) else str(reason)
        print(json.dumps({"not_run": text}) if options.json else f"not run: the official package could not be had: {text}")
        return 0
    official = Official(python, scratch)
    try:
        categories = compare(wheel, official, options.category or (), options.seed)
    finally:
        official.close()
    if options.json:
        rows = [c.as_json() for c in categories]
        print(json.dumps({"target": TARGET, "seed": options.seed, "categories": rows}, indent=2))
    else:
        tell(categories, time.perf_counter() - started)
    return 0


if __name__ == "__main__":
    sys.exit(main())
