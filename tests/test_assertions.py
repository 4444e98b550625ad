"""No test of this suite may pass whatever the program does: assertions that can't fail are found by their form."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
Function = ast.FunctionDef | ast.AsyncFunctionDef
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SAME_IS_TRUE = (ast.Eq, ast.Is, ast.LtE, ast.GtE)
_EXPECTING = frozenset({"raises", "warns", "fail", "xfail"})


def always_true(node: ast.expr, given: frozenset[str] = frozenset()) -> bool:
    """Whether an expression is true whatever the program does. given: names that the test is called with; alternatives to these
    hold for some of their values without anything being looked at."""
    match node:
        case ast.Constant(value):
            return bool(value)
        case ast.Tuple(elts) | ast.List(elts) | ast.Set(elts):
            return any(not isinstance(item, ast.Starred) for item in elts)
        case ast.Dict(keys):
            return any(key is not None for key in keys)
        case ast.Lambda() | ast.GeneratorExp():
            return True
        case ast.JoinedStr(values):
            return any(isinstance(value, ast.Constant) and value.value for value in values)
        case ast.UnaryOp(ast.Not(), operand):
            return always_false(operand)
        case ast.BoolOp(ast.Or(), values):
            return any(always_true(value, given) or _is_given(value, given) for value in values) or _either_way(values)
        case ast.BoolOp(ast.And(), values):
            return all(always_true(value, given) for value in values)
        case ast.IfExp(_, body, orelse):
            return always_true(body, given) or always_true(orelse, given)
        case ast.Compare(left, [operator], [right]):
            return _compares_itself(left, operator, right) or _any_length(left, operator, right)
    return False


def always_false(node: ast.expr) -> bool:
    """Whether an expression is false whatever the program does."""
    match node:
        case ast.Constant(value):
            return not value
        case ast.Tuple([]) | ast.List([]) | ast.Dict([]):
            return True
        case ast.UnaryOp(ast.Not(), operand):
            return always_true(operand)
    return False


def _is_given(node: ast.expr, given: frozenset[str]) -> bool:
    """A name that the test is called with, or its opposite."""
    inner = node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) else node
    return isinstance(inner, ast.Name) and inner.id in given


def _either_way(values: list[ast.expr]) -> bool:
    """`x or not x`."""
    said = {ast.dump(value) for value in values}
    return any(
        isinstance(v, ast.UnaryOp) and isinstance(v.op, ast.Not) and ast.dump(v.operand) in said and not _calls(v) for v in values
    )


def _compares_itself(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> bool:
    """A value with itself. Two calls may differ, and that they do not is worth a test; so is that an attribute stays one object."""
    if isinstance(operator, ast.Is) and isinstance(left, ast.Attribute):
        return False
    return isinstance(operator, _SAME_IS_TRUE) and ast.dump(left) == ast.dump(right) and not _calls(left)


def _any_length(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> bool:
    """`len(x) >= 0`."""
    counted = isinstance(left, ast.Call) and isinstance(left.func, ast.Name) and left.func.id == "len"
    return counted and isinstance(operator, ast.GtE) and isinstance(right, ast.Constant) and right.value == 0


def _calls(node: ast.AST) -> bool:
    return any(isinstance(inner, ast.Call | ast.Await) for inner in ast.walk(node))


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""


def _parameters(function: Function) -> frozenset[str]:
    arguments = function.args
    return frozenset(a.arg for a in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs])


@dataclass(frozen=True, slots=True)
class Said:
    """A function, as far as it is asked whether it asserts something."""

    name: str
    line: int
    asserts: bool  # has an `assert` of its own
    calls: frozenset[str]

    @property
    def is_test(self) -> bool:
        """By its name, as pytest finds it."""
        return self.name.startswith("test_")

    def expects(self, expecting: frozenset[str]) -> bool:
        """Whether it asserts something, itself or through one of these functions."""
        return self.asserts or bool(self.calls & expecting)


def said_of(function: Function) -> Said:
    """Look through a function once."""
    nodes = list(ast.walk(function))
    calls = frozenset(_name(node) for node in nodes if isinstance(node, ast.Call))
    asserts = any(isinstance(node, ast.Assert) for node in nodes) or any(name.startswith("assert_") for name in calls)
    return Said(function.name, function.lineno, asserts or bool(calls & _EXPECTING), calls)


def unfailing(function: Function) -> Iterator[tuple[int, str]]:
    """Line and reason of every form in a function that cannot fail."""
    given = _parameters(function) if function.name.startswith("test_") else frozenset()
    for node in ast.walk(function):
        if isinstance(node, ast.Assert) and always_true(node.test, given):
            yield node.lineno, f"can't fail: assert {ast.unparse(node.test)[:100]}"
        elif isinstance(node, ast.With | ast.AsyncWith) and _awaits_an_error(node) and not any(map(_does, node.body)):
            yield node.lineno, "nothing is done where an error is expected"


def looked_through(text: str) -> tuple[list[Said], list[tuple[int, str]]]:
    """The functions of a file, and its forms that cannot fail. The tree is not kept: those of all files fill hundreds of megabytes."""
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, _FUNCTIONS)]
    return [said_of(function) for function in functions], [found for function in functions for found in unfailing(function)]


def findings(text: str, expecting: frozenset[str] = frozenset()) -> list[tuple[int, str]]:
    """Line and reason of everything that cannot fail. expecting: names of functions that themselves assert something."""
    said, found = looked_through(text)
    return found + asserting_nothing(said, expecting)


def asserting_nothing(said: list[Said], expecting: frozenset[str]) -> list[tuple[int, str]]:
    """Line and reason of every test that looks at nothing."""
    return [(s.line, f"{s.name} asserts nothing") for s in said if s.is_test and not s.expects(expecting)]


def _awaits_an_error(node: ast.With | ast.AsyncWith) -> bool:
    last = node.items[-1].context_expr  # what stands behind `raises` in the same line may raise when it is entered
    return isinstance(last, ast.Call) and _name(last) in ("raises", "warns")


def _does(statement: ast.stmt) -> bool:
    return not (
        isinstance(statement, ast.Pass) or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
    )


def expecting_functions(said: list[Said]) -> frozenset[str]:
    """Names of functions that assert something, themselves or through one another; tests are not called by others."""
    found: frozenset[str] = frozenset()
    while True:
        more = found | {s.name for s in said if not s.is_test and s.expects(found)}
        if more == found:
            return found
        found = more


def test_every_assertion_can_fail() -> None:
    """And every test has one. All files at once, because what asserts for a test may stand in another file."""
    files = {path: looked_through(path.read_text("utf-8")) for path in sorted(ROOT.rglob("*.py"))}
    assert len(files) > 500
    expecting = expecting_functions([s for said, _ in files.values() for s in said])
    found = [
        f"{path.relative_to(ROOT)}:{line}: {why}"
        for path, (said, forms) in files.items()
        for line, why in sorted(forms + asserting_nothing(said, expecting))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "assert True",
        "assert (x, 'message')",
        "assert [x]",
        "assert f'{x} is wrong'",
        "assert x or True",
        "assert x or 'yes'",
        "assert x or y or stream",
        "assert x or not stream",
        "assert x if y else True",
        "assert (x or 1) if y else x",
        "assert x or not x",
        "assert x.a == x.a",
        "assert x[0] <= x[0]",
        "assert len(x) >= 0",
        "assert not False",
        "assert not []",
        "assert lambda: x",
        "assert (y for y in x)",
        "with pytest.raises(ValueError):\n        pass\n    assert x",
        "pass",
        "x()",
    ],
)
def test_what_cannot_fail_is_found(line: str) -> None:
    """By its form, in a test that is called with `stream`."""
    assert findings(f"def test_it(stream):\n    {line}\n")


@pytest.mark.parametrize(
    "line",
    [
        "assert x",
        "assert x or y",
        "assert x() == x()",
        "assert x.a is x.a",
        "with pytest.raises(ValueError), x():\n        pass",
        "assert [y for y in x]",
        "assert not x",
        "assert x if stream else y",
        "assert (x or y) == stream",
        "assert len(x) >= 1",
        "assert all(y for y in x)",
        "assert {**x}",
        "x.assert_refused(2)",
        "with pytest.raises(ValueError):\n        x()",
        "helper()",
    ],
)
def test_what_can_fail_is_left_alone(line: str) -> None:
    """Also where another function of the suite asserts for it."""
    assert not findings(f"def test_it(stream):\n    {line}\n", frozenset({"helper"}))
