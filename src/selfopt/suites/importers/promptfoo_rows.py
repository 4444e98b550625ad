"""Makes a test of a row of CSV, as promptfoo does."""

from __future__ import annotations

import re
from typing import Any

from selfopt.errors import SuiteError
from selfopt.suites.check import printable

_EXPECTED = re.compile(r"__expected\d{0,4}")
_ASSERT = re.compile(r"(?P<type>[a-z][a-z0-9:-]*)(?:\((?P<threshold>\d+(?:\.\d+)?)\))?(?::(?P<value>.*))?", re.DOTALL)
_LISTS = ("contains-all", "contains-any", "icontains-all", "icontains-any")
_SHORT = {"fn": "javascript", "eval": "javascript", "grade": "llm-rubric"}
_TYPES = frozenset(
    {
        "answer-relevance",
        "bleu",
        "classifier",
        "contains",
        "contains-all",
        "contains-any",
        "contains-html",
        "contains-json",
        "contains-sql",
        "contains-xml",
        "context-faithfulness",
        "context-recall",
        "context-relevance",
        "cost",
        "equals",
        "factuality",
        "finish-reason",
        "g-eval",
        "gleu",
        "guardrails",
        "icontains",
        "icontains-all",
        "icontains-any",
        "is-html",
        "is-json",
        "is-refusal",
        "is-sql",
        "is-valid-function-call",
        "is-valid-openai-function-call",
        "is-valid-openai-tools-call",
        "is-xml",
        "javascript",
        "latency",
        "levenshtein",
        "llm-rubric",
        "meteor",
        "model-graded-closedqa",
        "model-graded-factuality",
        "moderation",
        "perplexity",
        "perplexity-score",
        "pi",
        "python",
        "regex",
        "rouge-n",
        "ruby",
        "select-best",
        "similar",
        "skill-used",
        "starts-with",
        "tool-call-f1",
        "trace-error-spans",
        "trace-span-count",
        "trace-span-duration",
        "trajectory:goal-success",
        "trajectory:step-count",
        "trajectory:tool-args-match",
        "trajectory:tool-sequence",
        "trajectory:tool-used",
        "webhook",
        "word-count",
    }
)


def case_of_row(row: dict[str, str], where: str) -> dict[str, Any]:
    """The test: columns that begin with two underscores say what they say, and all others are vars."""
    test: dict[str, Any] = {"vars": {}, "assert": [], "options": {}, "metadata": {}}
    for name, text in row.items():
        if _EXPECTED.fullmatch(name):
            if text.strip():
                test["assert"].append(assert_of(text.strip()))
        elif name in ("__prefix", "__suffix"):
            test["options"][name[2:]] = text
        elif name == "__description":
            test["description"] = text
        elif name == "__threshold" and text.strip():
            test["threshold"] = _number(text, f"{where}: __threshold")
        elif name.startswith("__metadata:"):
            key = name.partition(":")[2]
            test["metadata"][key.removesuffix("[]")] = text
        elif not name.startswith("__") and name:
            test["vars"][name] = text
    return test


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SuiteError(f"{where}: is {printable(repr(text))}; write a number") from None


def assert_of(text: str) -> dict[str, Any]:
    """The assert in a field: `type`, `type: value` or `type(threshold): value`; any other text is what is equal."""
    if text.startswith("file://"):
        return {"type": "javascript" if ".py" not in text else "python", "value": text}
    found = _ASSERT.fullmatch(text)
    kind = found["type"] if found is not None else ""
    kind = _SHORT.get(kind, kind)
    if found is None or kind.removeprefix("not-") not in _TYPES:
        return {"type": "equals", "value": text}
    item: dict[str, Any] = {"type": kind}
    value = (found["value"] or "").strip()
    if value:
        item["value"] = [part.strip() for part in value.split(",")] if kind.removeprefix("not-") in _LISTS else value
    if found["threshold"]:
        item["threshold"] = float(found["threshold"])
    return item
