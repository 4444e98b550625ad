"""Reads the tool calls that promptfoo's asserts state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from selfopt.errors import SuiteError
from selfopt.suites.check import printable

from .assert_calls import UnknownAssertError, args_match_call, calls_of

_VALID = ("is-valid-openai-tools-call", "is-valid-openai-function-call", "is-valid-function-call")
_JSON = ("contains-json", "is-json")
_CONTAINS = ("contains", "icontains", "contains-all", "icontains-all")
MAX_USED = 256
KNOWN_ASSERTS = (
    "is-valid-openai-tools-call", "tool-call-f1", "equals", *_JSON, "trajectory:tool-used", "trajectory:tool-args-match",
)  # fmt: skip
_STATING = frozenset({*_VALID, *_JSON, *_CONTAINS, *KNOWN_ASSERTS, "finish-reason", "trajectory:tool-sequence", "assert-set"})
_WHY = {
    "javascript": "code, which is not executed",
    "python": "code, which is not executed",
    "ruby": "code, which is not executed",
    "webhook": "it asks a server",
    "latency": "measured anyway",
    "cost": "measured anyway",
    "llm-rubric": "a model judges",
    "similar": "a model judges",
    "trajectory:tool-sequence": "a prompt is judged by one reply",
    "trajectory:step-count": "a prompt is judged by one reply",
    "trajectory:goal-success": "a model judges",
}


@dataclass(slots=True)
class Stated:
    """What the asserts of one test state.

    Attributes:
        tools: the names of the tools that are offered.
        calls: one accepted set.
        names: the tools that are called, whatever the arguments.
        used: tools that are called at least, whatever the arguments, as often as they are listed.
        matched: calls that are made at least.
        valid: whether any call is right.
        silent: whether nothing should be called.
        unknown: the asserts that state no tool calls.
    """

    tools: Sequence[str] = ()
    calls: list[dict[str, Any]] | None = None
    names: list[str] | None = None
    used: list[str] = field(default_factory=list)
    matched: list[dict[str, Any]] = field(default_factory=list)
    valid: bool = False
    silent: bool = False
    unknown: list[str] = field(default_factory=list)

    @property
    def says_something(self) -> bool:
        """Whether any assert states tool calls, or that there are none."""
        return self.calls is not None or self.names is not None or bool(self.used or self.matched) or self.valid or self.silent

    def expected(self, where: str) -> Any:
        """The accepted sets, or "any".

        Raises SuiteError if the asserts state nothing or contradict each other.
        """
        exact = self.names if self.calls is None else [call["name"] for call in self.calls]
        least = {*self.used, *(call["name"] for call in self.matched)}
        if (exact is not None and not least <= set(exact)) or (self.names is not None and set(self.names) != set(exact or ())):
            raise SuiteError(f"{where}: its asserts name different tools; correct one of them")
        if self.silent and (exact or least or (self.valid and exact is None)):
            raise SuiteError(f"{where}: its asserts say that a tool is called and that none is; correct one of them")
        if self.calls is not None:
            return [self.calls]
        if self.names is not None or least:
            return [self._at_least(self.names if self.names is not None else self.used)]
        if self.valid:
            return "any"
        if self.silent:
            return [[]]
        raise SuiteError(f"{where}: no assert states a tool call; add one of {', '.join(KNOWN_ASSERTS)}")

    def _at_least(self, names: list[str]) -> list[dict[str, Any]]:
        """The calls that are made: a call with arguments counts as one of the uses of its tool."""
        left = [call["name"] for call in self.matched]
        calls = list(self.matched)
        for name in names:
            if name in left:
                left.remove(name)
            else:
                calls.append({"name": name, "any_arguments": True})
        return calls


def is_stating(item: Any) -> bool:
    """Whether an assert is of a type that can state tool calls. Others are left out whatever they hold."""
    kind = item.get("type") if isinstance(item, dict) else None
    return not isinstance(kind, str) or kind.removeprefix("not-") in _STATING


def read_asserts(asserts: Any, where: str, tools: Sequence[str] = ()) -> Stated:
    """Read what a list of asserts states together, if tools of these names are offered."""
    stated = Stated(tools)
    if not isinstance(asserts, list):
        raise SuiteError(f"{where}: assert is {printable(repr(asserts))}; write a list of asserts with their types")
    for index, item in enumerate(asserts):
        _take_all(stated, item, f"{where}: assert[{index}]")
    return stated


def _take_all(stated: Stated, item: Any, where: str, *, inner: bool = False) -> None:
    if not isinstance(item, dict) or not isinstance(item.get("type"), str):
        raise SuiteError(f"{where}: is {printable(repr(item))}; write a mapping with a type")
    kind = item["type"]
    try:
        if kind == "assert-set" and not inner and isinstance(item.get("assert"), list):
            if item.get("threshold", 1) != 1:
                raise UnknownAssertError("assert-set with a threshold (a set of calls is right or it is not)")
            for index, one in enumerate(item["assert"]):
                _take_all(stated, one, f"{where}: assert[{index}]", inner=True)
        elif item.get("weight", 1) == 0:
            raise UnknownAssertError(f"{printable(kind)} with weight 0")
        else:
            _take(stated, kind, item, where)
    except UnknownAssertError as error:
        stated.unknown.append(str(error))


def _take(stated: Stated, kind: str, item: dict[str, Any], where: str) -> None:
    for code in ("transform", "contextTransform"):
        if code in item:
            raise UnknownAssertError(f"{printable(kind)} with {code} (code, which is not executed)")
    plain = kind.removeprefix("not-")
    if plain in _VALID:
        stated.silent, stated.valid = stated.silent or plain != kind, stated.valid or plain == kind
    elif kind == "finish-reason" and item.get("value") in ("tool_calls", "stop"):
        stated.silent, stated.valid = stated.silent or item["value"] == "stop", stated.valid or item["value"] != "stop"
    elif plain == "trajectory:tool-used" or plain in _CONTAINS:
        _used(stated, kind, item.get("value"), where)
    elif kind == "tool-call-f1":
        stated.names = _names(item, where)
    elif kind == "trajectory:tool-sequence":
        steps = item["value"].get("steps") if isinstance(item.get("value"), dict) else item.get("value")
        if not isinstance(steps, list) or len(steps) != 1 or not isinstance(steps[0], str):
            raise UnknownAssertError(f"{kind} of several steps ({_WHY[kind]})")
        stated.used.append(steps[0])
    elif kind == "trajectory:tool-args-match":
        stated.matched.append(args_match_call(item.get("value"), stated.tools, where))
    elif kind in ("equals", *_JSON):
        calls = calls_of(kind, item.get("value"), where, schemas=kind in _JSON)
        if stated.calls is not None and stated.calls != calls:
            raise SuiteError(f"{where}: states other calls than an assert before it; keep one")
        stated.calls = calls
    else:
        why = _WHY.get(plain)
        raise UnknownAssertError(f"{printable(kind)} ({why})" if why else printable(kind))


def _names(item: dict[str, Any], where: str) -> list[str]:
    value = item.get("value")
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise SuiteError(f"{where}: value is {printable(repr(value))}; write a list of tools' names")
    read = list(dict.fromkeys(name.strip() for name in names))
    # One tool too many is the smallest fault that there is: its score is 2n / (2n + 1).
    threshold = item.get("threshold", 1)
    if not isinstance(threshold, int | float) or threshold <= 2 * len(read) / (2 * len(read) + 1):
        raise UnknownAssertError(
            "tool-call-f1 with a threshold that lets a wrong tool pass (a set of calls is right or it is not)"
        )
    return read


def _used(stated: Stated, kind: str, value: Any, where: str) -> None:
    """Take that tools are used, or with `not-` that they are not, as `trajectory:tool-used` or as text of the output."""
    plain = kind.removeprefix("not-")
    used: list[Any]
    if plain in _CONTAINS:
        given = value if isinstance(value, list) else [value]
        names = [_offered(str(text), stated.tools, fold=plain.startswith("i")) for text in given]
        if not names or not all(names):
            raise UnknownAssertError(f"{kind} of text that is no tool's name")
        used = [str(name) for name in names]
    elif isinstance(value, dict):
        used = _counted(kind, value, stated.tools, where)
    else:
        used = value if isinstance(value, list) else [value]
        if not used or not all(isinstance(name, str) and name for name in used):
            raise SuiteError(
                f"{where}: value is {printable(repr(value))}; write a tool's name, a list of them, or {{name, min, max}}"
            )
    if plain == kind and used:
        if len(used) + len(stated.used) > MAX_USED:
            raise SuiteError(f"{where}: the asserts name more than {MAX_USED} uses of tools; write fewer")
        stated.used += [name for name in used if name not in stated.used or used.count(name) > 1]
    elif plain != kind and used and not set(stated.tools) <= set(used):
        raise UnknownAssertError(f"{kind} (other tools are offered, and what is right is not stated)")
    else:
        stated.silent = True


def _offered(text: str, tools: Sequence[str], *, fold: bool) -> str | None:
    if fold:
        return next((name for name in tools if name.casefold() == text.casefold()), None)
    return text if text in tools else None


def _counted(kind: str, value: dict[str, Any], tools: Sequence[str], where: str) -> list[str]:
    pattern = value.get("name", value.get("pattern"))
    least, most = value.get("min", 1), value.get("max")
    if not isinstance(pattern, str) or not isinstance(least, int) or len(pattern) > 200:
        raise SuiteError(f"{where}: value is {printable(repr(value))}; write {{name, min, max}} or {{pattern, min, max}}")
    names = [name for name in tools if fnmatchcase(name.lower(), pattern.lower())] if "pattern" in value else [pattern]
    if most == 0:
        if set(tools) <= set(names):
            return []
        raise UnknownAssertError(f"{kind} with max 0 (other tools are offered, and what is right is not stated)")
    if len(names) != 1 or not 1 <= least <= 32:
        raise UnknownAssertError(f"{kind} with a pattern or a count that states no single call")
    return names * least
