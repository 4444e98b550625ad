"""One rule for all verbs: 0 when the verb did its work, 100 when it was asked for a verdict and that is no."""

from __future__ import annotations

import ast
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

import selfopt.cli
from selfopt.cli.exit_codes import EXIT_CODES

from .world import ATOMIC, SCRIPT, Project

NATIVE = ("loop", "--baseline", "scripted/writer atomic native_api", "--candidates")
BETTER, NO_BETTER = "variant: native_parsed", "timeout_s: 50"
WARNED = ATOMIC.replace("- {id: A2", '- {id: A9, kind: direct, tool_set: t, messages: [{role: user, content: "weather in Oslo?"}],\n'
                        "     expected: [[{name: get_weather, arguments: {city: [Rome]}}]]}\n  - {id: A2")  # fmt: skip


def measured(project: Project) -> None:
    """Two variants of a model that only writes its calls, and a rule that rests on it."""
    for variant in ("native_api", "native_parsed"):
        project.ok("supervise", "scripted/writer", "atomic", variant, "--runs", "3")


def looped(project: Project) -> None:
    """A rule whose evidence can be traced."""
    project.ok(*tries(project, BETTER))


def tries(project: Project, change: str) -> tuple[str, ...]:
    """A loop with this one candidate against native_api."""
    return (*NATIVE, str(project.write("candidates.yaml", f"- {change}\n")))


def cut(project: Project) -> None:
    """The trail loses its last line behind the program's back."""
    trail = project.home / "routing_decisions.jsonl"
    trail.write_text("".join(trail.read_text("utf-8").splitlines(keepends=True)[:-1]), "utf-8")


def robbed(project: Project) -> None:
    """The ledger loses its evaluations behind the program's back."""
    connection = sqlite3.connect(project.home / "ledger.sqlite3")
    connection.execute("delete from records where kind in ('evaluation', 'trial')")
    connection.commit()
    connection.close()


def looped_then_cut(project: Project) -> None:
    """A trail that no longer says all of it."""
    looped(project)
    cut(project)


def looped_then_robbed(project: Project) -> None:
    """A rule whose evidence is gone."""
    looped(project)
    robbed(project)


def nothing(project: Project) -> None:
    """Nothing is done first."""


def newest_trial(project: Project) -> str:
    """The id of some trial."""
    return str(project.ok("run", "good", "atomic", "--json").json()["verdicts"][0]["trial_id"])


def worse_later(project: Project) -> None:
    """The baseline is measured, and then the model answers nothing any more."""
    baselined(project)
    spoil(project)


def spoil(project: Project) -> None:
    """The model that was right is mute from now on."""
    head, _, tail = SCRIPT.partition("  good:\n")
    rest = tail[tail.index("  mute:") :]
    project.write("script.yaml", f'{head}  good:\n    digest: good-1\n    default: {{text: "Hm."}}\n{rest}')


def halved(project: Project) -> None:
    """A model that knows one of two cities."""
    oslo = "      - match: {contains: oslo}\n        tool_calls: [{name: get_weather, arguments: {city: Oslo}}]\n"
    project.write("script.yaml", f'{SCRIPT}  half:\n    digest: half-1\n    replies:\n{oslo}    default: {{text: "Hm."}}\n')


def baselined(project: Project) -> None:
    """A baseline that is right."""
    project.ok("loop", "--baseline", "scripted/good atomic native_api", "--max-candidates", "0")


VERDICTS: dict[str, tuple[Callable[[Project], None], tuple[str, ...], int]] = {
    "decide promotes": (measured, ("decide", "scripted/writer", "atomic"), 0),
    "decide holds or rejects": (
        measured,
        ("decide", "scripted/writer", "atomic", "--candidate", "native_api", "--baseline", "native_parsed"),
        100,
    ),
    "decide has nothing to decide": (measured, ("decide", "scripted/good", "atomic"), 2),
    "decide fails on a regression": (
        measured,
        ("decide", "scripted/writer", "atomic", "--candidate", "native_api", "--baseline", "native_parsed", "--fail-on", "regression"),
        100,
    ),
    "decide, what holds is allowed": (
        measured,
        ("decide", "scripted/writer", "atomic", "--candidate", "native_parsed", "--baseline", "native_parsed", "--fail-on", "regression"),
        0,
    ),
    "decide cannot fail on that": (measured, ("decide", "scripted/writer", "atomic", "--fail-on", "promote"), 2),
    "verify, all in order": (looped, ("audit", "verify"), 0),
    "verify, a line is gone": (looped_then_cut, ("audit", "verify"), 100),
    "doctor, a line is gone": (looped_then_cut, ("doctor",), 100),
    "trace, all there": (looped, ("audit", "trace", "scripted/writer", "atomic"), 0),
    "trace, evidence is gone": (looped_then_robbed, ("audit", "trace", "scripted/writer", "atomic"), 100),
    "report, all there": (looped, ("report",), 0),
    "report, evidence is gone": (looped_then_robbed, ("report",), 100),
    "validate, warnings are told": (nothing, ("suites", "validate", "warned.yaml"), 0),
    "validate, warnings are refused": (nothing, ("suites", "validate", "--strict", "warned.yaml"), 100),
    "run, as before": (baselined, ("run", "good", "atomic", "--fail-on", "regression"), 0),
    "run, worse than before": (worse_later, ("run", "good", "atomic", "--fail-on", "regression"), 100),
    "run, worse but not asked": (worse_later, ("run", "good", "atomic"), 0),
    "run, nothing to compare with": (nothing, ("run", "good", "atomic", "--fail-on", "regression"), 1),
    "run decides nothing": (nothing, ("run", "good", "atomic", "--fail-on", "reject"), 2),
    "compare, the first is the best": (halved, ("compare", "good", "scripted/half", "--suite", "many.yaml", "--fail-on", "regression"), 0),
    "compare, the first is behind": (halved, ("compare", "scripted/half", "good", "--suite", "many.yaml", "--fail-on", "regression"), 100),
    "compare, not asked": (halved, ("compare", "scripted/half", "good", "--suite", "many.yaml"), 0),
    "compare rejects nothing": (nothing, ("compare", "mute", "good", "--fail-on", "hold"), 2),
}  # fmt: skip


@pytest.mark.parametrize(("before", "arguments", "code"), VERDICTS.values(), ids=VERDICTS)
def test_a_verb_that_is_asked_for_a_verdict_ends_with_it(
    project: Project, before: Callable[[Project], None], arguments: tuple[str, ...], code: int
) -> None:
    """Both ways for each, with one line where `--fail-on` says no."""
    project.write("warned.yaml", WARNED)
    project.write("many.yaml", many())
    before(project)
    result = project.run(*arguments)
    assert result.code == code, (result.out, result.err)
    if "--fail-on" in arguments:
        lines = [line for line in result.err.splitlines() if line.startswith("selfopt: ")]
        assert len(lines) == (0 if code == 0 else 1), result.err
        assert code != 100 or lines[0].startswith("selfopt: --fail-on regression: ")


def many() -> str:
    """A suite that is long enough to tell two models apart."""
    head = ATOMIC[: ATOMIC.index("prompts:")].replace("name: small", "name: many")
    prompts = [
        f'  - {{id: B{i}, kind: direct, tool_set: t, messages: [{{role: user, content: "weather in {city}, {i}?"}}],\n'
        f"     expected: [[{{name: get_weather, arguments: {{city: [{city}]}}}}]]}}"
        for i, city in enumerate(["Oslo", "Rome"] * 8)
    ]
    return head + "prompts:\n" + "\n".join(prompts) + "\n"


@pytest.mark.parametrize(
    ("kinds", "change", "code"),
    [
        (("--fail-on", "reject"), BETTER, 0),
        (("--fail-on", "reject,hold"), NO_BETTER, 100),
        (("--fail-on", "regression"), BETTER, 0),
        (("--fail-on", "hold", "--fail-on", "reject"), NO_BETTER, 100),
        ((), NO_BETTER, 0),
        (("--fail-on", "rejects"), NO_BETTER, 2),
        (("--fail-on", "reject", "--dry-run"), NO_BETTER, 2),
    ],
)
def test_a_loop_fails_on_what_it_is_told_to_fail_on(project: Project, kinds: tuple[str, ...], change: str, code: int) -> None:
    """Repeated or in one list; a word that has no meaning, and a loop that runs no cycle, are usage errors."""
    result = project.run(*tries(project, change), *kinds)
    assert result.code == code, (result.out, result.err)
    if code == 100:
        (line,) = [line for line in result.err.splitlines() if line.startswith("selfopt: ")]
        assert "scripted/writer atomic native_api (timeout" in line


def test_a_loop_fails_on_a_regression_where_something_in_force_is_taken_back(project: Project) -> None:
    """What was promoted no longer helps."""
    project.ok(*tries(project, BETTER))
    text = (project.root / "script.yaml").read_text("utf-8")
    project.write("script.yaml", text.replace('text: \'{"name"', 'text: \'no {"nom"'))
    result = project.run("loop", "--cycles", "1", "--max-candidates", "0", "--fail-on", "regression")
    assert result.code == 100, (result.out, result.err)
    assert "was taken back" in result.err


def test_show_ends_with_what_became_of_the_record(project: Project) -> None:
    """100 once a record is not what was written."""
    trial = newest_trial(project)
    project.ok("show", trial)
    connection = sqlite3.connect(project.home / "ledger.sqlite3")
    connection.execute("update records set body = replace(body, 'A1', 'A2') where kind = 'trial'")
    connection.commit()
    connection.close()
    assert project.run("show", trial).code == 100


def test_exit_codes_stand_in_one_place() -> None:
    """No command writes 100 itself, and the pages that tell of the codes are told by that place."""
    assert set(EXIT_CODES) == {0, 1, 2, 100, 130}
    for path in Path(selfopt.cli.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            returned = node.value if isinstance(node, ast.Return) else None
            ends = [returned.body, returned.orelse] if isinstance(returned, ast.IfExp) else [returned]
            assert not {100, 130} & {end.value for end in ends if isinstance(end, ast.Constant)}, path.name
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")
    for code, meaning in EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in page, json.dumps(meaning)
