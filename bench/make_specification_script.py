"""Write specification.yaml: what the specification's models answer, derived from the built-in suites' expectations.

python3 make_specification_script.py           write the file
python3 make_specification_script.py --check    exit 100 when the file is not what would be written
"""

import _bench

# isort: split
import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from selfopt.records import ExpectedCall, Prompt, Suite
from selfopt.verbs.specification import load_suite

TARGET = _bench.HERE / "specification.yaml"
LOAD_MS = 2000.0
COLD_RUNS = 2
HEADER = """\
# Written by make_specification_script.py from the built-in suites; change that script, not this file.
# lfm2.5: right on atomic, once it is loaded: every prompt of the first two runs is given up, unless somebody waits for the
# load; on extended never right: no call where one is needed, a call where none is. haiku: right on both.
"""
AT_A_LOSS = "I am not sure which of the tools would help here."
NO_NEED = "No tool is needed for this."


class _Dumper(yaml.SafeDumper):
    """Without aliases: scripted endpoints refuse them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def value_of(accepted: Any) -> Any:
    """The first accepted value of an argument, as a model would write it."""
    if isinstance(accepted, dict) and set(accepted) == {"any_order"}:
        return list(accepted["any_order"])
    return accepted


def right_calls(prompt: Prompt) -> list[dict[str, Any]]:
    """The calls of the first accepted set, arguments that may be left out left out."""
    if prompt.expected == "any":
        raise ValueError(f"{prompt.id}: any call is right; name one in the suite")
    return [{"name": call.name, "arguments": _arguments(call)} for call in prompt.expected[0]]


def _arguments(call: ExpectedCall) -> dict[str, Any]:
    return {name: value_of(accepted[0]) for name, accepted in call.arguments.items() if "" not in accepted}


def pattern_of(prompt: Prompt) -> str:
    """What the last user message ends with, however a variant presents the conversation."""
    return re.sub(r"([.^$*+?{}\[\]\\|()])", r"\\\1", prompt.messages[-1].content.strip()) + r"\s*$"


def replies(prompt: Prompt, calls: list[dict[str, Any]], words: str) -> list[dict[str, Any]]:
    """The answer where tools are offered natively, and the same where calls have to be written as text."""
    native: dict[str, Any] = {"match": {"regex": pattern_of(prompt), "tools": True}}
    native |= {"tool_calls": calls} if calls else {"text": words}
    written = json.dumps(calls[0] if len(calls) == 1 else calls, ensure_ascii=False) if calls else "none"
    return [native, {"match": {"regex": pattern_of(prompt), "tools": False}, "text": written}]


def right(suite: Suite) -> list[dict[str, Any]]:
    """Every prompt answered as the suite expects."""
    return [rule for p in suite.prompts for rule in replies(p, right_calls(p), NO_NEED)]


def needless_call(prompt: Prompt) -> dict[str, Any]:
    """A call that nobody wants, in the user's own words (a harness may drop one that is made up)."""
    words = re.findall(r"\w+", prompt.messages[-1].content)
    return {"name": "search_files", "arguments": {"query": " ".join(words[:3])}}


def never_right(suite: Suite) -> list[dict[str, Any]]:
    """A call where none is wanted, none where one is."""
    return [rule for p in suite.prompts for rule in replies(p, [] if p.needs_call else [needless_call(p)], AT_A_LOSS)]


def script() -> dict[str, Any]:
    """The content of specification.yaml."""
    atomic, extended = load_suite("atomic"), load_suite("extended")
    two_and_two = {"match": {"contains": "2+2"}, "text": "4"}
    common = {"quantization": "none"}
    return {
        "models": {
            _bench.LFM: {
                **common,
                "digest": "scripted-lfm",
                "load_ms": LOAD_MS,
                "load_after_aborts": COLD_RUNS * len(atomic.prompts),
                "cold_affects": [pattern_of(p) for p in atomic.prompts],
                "replies": [two_and_two, *right(atomic), *never_right(extended)],
            },
            "haiku": {
                **common,
                "digest": "scripted-haiku",
                "initially_loaded": True,
                "replies": [two_and_two, *right(atomic), *right(extended)],
            },
        }
    }


def text() -> str:
    """The file as it should be."""
    body = yaml.dump(script(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return HEADER + body


def main(arguments: list[str], target: Path = TARGET) -> int:
    """Write the file, or with --check compare it."""
    if arguments == ["--check"]:
        current = target.is_file() and target.read_text("utf-8") == text()
        print(f"{target.name} is {'current' if current else 'not current: run make_specification_script.py'}")
        return 0 if current else 100
    if arguments:
        print(f"usage: {Path(sys.argv[0]).name} [--check]", file=sys.stderr)
        return 2
    target.write_text(text(), "utf-8")
    print(f"written: {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
