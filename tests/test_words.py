"""One name for one thing: no class is called like another, no file like another room."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src" / "selfopt"

# A file of these is named after the command, the verb or the noun that it stands for, as the rooms are.
DOORS = {"cli", "api", "verbs", "ui"}


def public_classes() -> dict[str, list[str]]:
    """Every public class at the top of a file, with the files that define it."""
    found = defaultdict(list)
    # What an earlier version read with is kept as it was, names and all.
    for path in sorted(set(SOURCE.rglob("*.py")) - set((SOURCE / "reading" / "earlier").rglob("*.py"))):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path.relative_to(SOURCE)))
    return found


def test_every_public_class_is_defined_once() -> None:
    """A name means one thing in the whole house."""
    shared = {name: files for name, files in public_classes().items() if len(files) > 1}
    assert not shared, shared


def test_no_file_is_named_like_another_room() -> None:
    """What is said of a room is not true of a file of another."""
    rooms = {path.parent.name for path in SOURCE.glob("*/__init__.py")} | {path.stem for path in SOURCE.glob("*.py")}
    files = [path.relative_to(SOURCE) for path in SOURCE.rglob("*") if path.suffix == ".py" or path.is_dir()]
    inside = [path for path in files if len(path.parts) > 1 and path.parts[0] not in DOORS]
    shared = {str(path) for path in inside if path.stem in rooms - {"__init__", path.parts[0]}}
    assert not shared, shared
