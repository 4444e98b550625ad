"""No test of this suite may pass whatever the program does: assertions that can't fail are found by their form."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
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


def findings(tree: ast.Module, expecting: frozenset[str] = frozenset()) -> Iterator[tuple[int, str]]:
    """Line and reason of everything that cannot fail. expecting: names of functions that themselves assert something."""
    for function in (node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)):
        is_test = function.name.startswith("test_")
        for node in ast.walk(function):
            if isinstance(node, ast.Assert) and always_true(node.test, _parameters(function) if is_test else frozenset()):
                yield node.lineno, f"can't fail: assert {ast.unparse(node.test)[:100]}"
            elif isinstance(node, ast.With | ast.AsyncWith) and _awaits_an_error(node) and not any(map(_does, node.body)):
                yield node.lineno, "nothing is done where an error is expected"
        if is_test and not _expects(function, expecting):
            yield function.lineno, f"{function.name} asserts nothing"


def _awaits_an_error(node: ast.With | ast.AsyncWith) -> bool:
    last = node.items[-1].context_expr  # what stands behind `raises` in the same line may raise when it is entered
    return isinstance(last, ast.Call) and _name(last) in ("raises", "warns")


def _does(statement: ast.stmt) -> bool:
    return not (
        isinstance(statement, ast.Pass) or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
    )


def _expects(function: Function, expecting: frozenset[str]) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call) and (_name(node) in _EXPECTING | expecting or _name(node).startswith("assert_")):
            return True
    return False


@cache
def expecting_functions() -> frozenset[str]:
    """Names of the suite's own functions that assert something, themselves or through one another."""
    functions = [
        node
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, _FUNCTIONS) and not node.name.startswith("test_")
    ]
    found: frozenset[str] = frozenset()
    while True:
        more = found | {f.name for f in functions if _expects(f, found)}
        if more == found:
            return found
        found = more


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_assertion_can_fail(path: Path) -> None:
    """And every test has one."""
    found = list(findings(ast.parse(path.read_text("utf-8")), expecting_functions()))
    assert not found, "\n".join(f"{path.relative_to(ROOT)}:{line}: {why}" for line, why in found)


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
    assert list(findings(ast.parse(f"def test_it(stream):\n    {line}\n")))


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
    assert not list(findings(ast.parse(f"def test_it(stream):\n    {line}\n"), frozenset({"helper"})))
