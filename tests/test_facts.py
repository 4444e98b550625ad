"""Code branches on facts, not on sentences: a rewording changes what people read and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src" / "selfopt"
FILES = sorted(SOURCE.rglob("*.py"))

# Names that are sentences in one record and data in another: what is done with those can't be told from the name.
AMBIGUOUS = {"text", "why"}
# Where a sentence is read for a reason that stays.
READS_SENTENCES = {
    "records/earlier.py",  # earlier versions stored nothing but the sentence
    "routing/imports.py",  # did a person write another reason into a copy of the rules?
    "suites/warn/answers.py",  # "review:" is a mark that people take out of their own suites (docs/SUITES.md)
}
SEARCHES = {
    *("startswith", "endswith", "split", "rsplit", "partition", "rpartition", "find", "rfind", "index", "count", "removeprefix"),
    *("match", "fullmatch", "search", "findall", "get"),
}


def prose_fields() -> set[str]:
    """Fields that some class annotates as `Prose`."""
    fields = [
        node
        for path in FILES
        for holder in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(holder, ast.ClassDef)
        for node in holder.body
        if isinstance(node, ast.AnnAssign)
    ]
    return {n.target.id for n in fields if isinstance(n.target, ast.Name) and "Prose" in ast.unparse(n.annotation)} - AMBIGUOUS


PROSE = prose_fields()


def is_prose(node: ast.expr) -> bool:
    """Whether an expression is such a field, or made of one by a method (`item.reason.lower()`)."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return is_prose(node.func.value)
    return isinstance(node, ast.Attribute) and node.attr in PROSE


def branches_on_prose(tree: ast.AST) -> list[str]:
    """Every place where a sentence is compared, searched, taken apart or used as a key."""
    found = []
    for node in ast.walk(tree):
        wrong = False
        if isinstance(node, ast.Compare):
            against_none = any(isinstance(c, ast.Constant) and c.value is None for c in node.comparators)
            wrong = not against_none and any(map(is_prose, (node.left, *node.comparators)))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SEARCHES:
            wrong = is_prose(node.func.value) or any(map(is_prose, node.args))
        elif isinstance(node, ast.Subscript):
            wrong = is_prose(node.slice)
        elif isinstance(node, ast.Match):
            wrong = is_prose(node.subject)
        if wrong:
            found.append(f"line {getattr(node, 'lineno', 0)}: {ast.unparse(node)[:120]}")
    return found


def test_no_code_branches_on_a_sentence() -> None:
    """What has to be told apart is a field of its own: a Literal, an enum, or a type."""
    read = {path: branches_on_prose(ast.parse(path.read_text("utf-8"))) for path in FILES}
    found = {str(path.relative_to(SOURCE)): lines for path, lines in read.items() if lines}
    assert {file: lines for file, lines in found.items() if file not in READS_SENTENCES} == {}


@pytest.mark.parametrize(
    "code",
    [
        "'not confirmed yet' in item.reason",
        "item.summary == 'slow'",
        "item.reason.lower().startswith('served')",
        "item.reason.split('; ')",
        "re.match('x', item.detail)",
        "WORDS[item.reason]",
        "WORDS.get(item.told)",
        "match item.summary:\n    case 'slow':\n        pass",
    ],
)
def test_such_code_is_found(code: str) -> None:
    """So the test above shows something."""
    assert branches_on_prose(ast.parse(code))


def test_showing_a_sentence_is_no_branch() -> None:
    """Sentences are joined, formatted, measured and left out where there is none."""
    shown = (
        "f'{item.reason}' if item.reason else ''\n'; '.join(f.summary for f in found)\nitem.reason is None\nlen(item.reason) > 3"
    )
    assert branches_on_prose(ast.parse(shown)) == []


def test_the_fields_that_people_read_are_known() -> None:
    """Take none of these out: a field of this name that code may branch on needs another name."""
    assert {"summary", "reason", "told", "detail"} <= PROSE
