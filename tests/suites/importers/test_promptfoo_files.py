"""A configuration leads to no file outside its folder, and to no more than is bearable."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.errors import SuiteError
from selfopt.suites.importers.globs import matcher
from selfopt.suites.importers.promptfoo_files import Folder

from .test_promptfoo import VALID, config, refusal

SECRET = "root:x:0:0"
PLACES = ("tests", "scenarios", "defaultTest", "prompts", "providers", "tools", "vars", "var", "assert")


def naming(folder: Path, place: str, name: str) -> Path:
    """A configuration that names a file in this place."""
    case: dict[str, Any] = {"vars": {"city": "Oslo"}, "assert": [VALID]}
    changes: dict[str, Any] = {
        "tools": {"providers": [{"id": "a", "config": {"tools": [name]}}]},
        "vars": {"tests": [{**case, "vars": name}]},
        "var": {"tests": [{**case, "vars": {"city": name}}]},
        "assert": {"tests": [{**case, "assert": [{"type": "equals", "value": name}]}]},
    }.get(place, {place: name})
    return config(folder, **changes)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "name", ["file://../secret.yaml", "file://{root}/secret.yaml", "file://link.yaml", "file://out/*.yaml", "file://../*.yaml"]
)
def test_no_file_outside_the_folder_is_read(tmp_path: Path, place: str, name: str) -> None:
    """By a path, an absolute one, a link, a pattern behind a link, a pattern above; in every place that may name a file."""
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.yaml").write_text(f"- {SECRET}")
    (inside / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    (inside / "out").symlink_to(tmp_path)
    text = refusal(naming(inside, place, name.replace("{root}", str(tmp_path))))
    assert "leads outside the folder of the configuration" in text
    assert SECRET not in text


def test_a_pattern_follows_no_link_out_of_the_folder(tmp_path: Path) -> None:
    """Linked folders are not walked; a linked file is refused, not read."""
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.yaml").write_text(f"- {SECRET}")
    (inside / "out").symlink_to(tmp_path)
    assert "no file of" in refusal(config(inside, tests="file://**/secret.yaml"))
    (inside / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    assert "leads outside" in refusal(config(inside, tests="file://*link.yaml"))


def test_files_are_bounded_in_number_in_size_and_in_depth(tmp_path: Path) -> None:
    """However they are named."""
    (tmp_path / "cases").mkdir()
    for number in range(6):
        (tmp_path / "cases" / f"{number}.yaml").write_text("vars: {city: x}\nassert: [{type: is-valid-function-call}]\n")
    with pytest.raises(SuiteError, match="too many files are named, or stand in its folder"):
        Folder(tmp_path, left_steps=3).find("cases", "x", (".yaml",))
    folder = Folder(tmp_path, left_files=5)
    with pytest.raises(SuiteError, match="names more than"):
        [folder.text(found, "x") for found in folder.find("cases", "x", (".yaml",))]
    small = Folder(tmp_path, left_bytes=100)
    with pytest.raises(SuiteError, match="larger than"):
        [small.text(found, "x") for found in small.find("cases", "x", (".yaml",))]
    (tmp_path / "cases" / "self.yaml").write_text("- file://self.yaml\n")
    assert "deeper than 4 levels" in refusal(config(tmp_path, tests="file://cases/self.yaml"))
    (tmp_path / "again.yaml").write_text("- file://again.yaml\n")
    assert "deeper than 4 levels" in refusal(config(tmp_path, prompts=["file://again.yaml"]))


@pytest.mark.parametrize(
    "name", ["file://", "file://\x00", "file://" + "x" * 5000, "file://" + "a/" * 3000 + "*", "*" * 301, "{a,b}" * 7, "["]
)
def test_names_that_no_file_has_are_refused_in_one_line(tmp_path: Path, name: str) -> None:
    """Whatever the system says of them."""
    assert refusal(config(tmp_path, tests=name))


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("*.yaml", "a.yaml", True), ("*.yaml", "b/a.yaml", False), ("**/*.yaml", "a.yaml", True), ("**/*.yaml", "b/c/a.yaml", True),
        ("b/**", "b/c/a.yaml", True), ("b/**/c/*", "b/c/a", True), ("b/**/c/*", "b/x/y/c/a", True), ("b/**/c/*", "b/x/a", False),
        ("{a,b}/?.md", "b/x.md", True), ("{a,b}/?.md", "c/x.md", False), ("[ab]x", "bx", True), ("./a*", "ab", True),
    ],
)  # fmt: skip
def test_patterns_match_as_shells_do(pattern: str, path: str, fits: bool) -> None:
    """Folders count."""
    assert matcher(pattern, "x")(path.split("/")) is fits


@given(st.text(st.sampled_from("a*?[]!/{},-."), max_size=60), st.lists(st.text(st.sampled_from("a."), max_size=80), max_size=20))
def test_any_pattern_is_decided_or_refused(pattern: str, parts: list[str]) -> None:
    """At once: nothing is tried twice."""
    with contextlib.suppress(SuiteError):
        assert matcher(pattern, "x")(parts) in (True, False)


def test_files_that_name_each_other_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ways there are through them, and although none leads to a test or a prompt."""
    monkeypatch.setattr("selfopt.suites.importers.promptfoo_files.MAX_STEPS", 3000)
    for number in range(4):
        (tmp_path / f"{number}.yaml").write_text(f"- file://{number + 1}.yaml\n" * 400 if number < 3 else "[]\n")
    for key in ("tests", "scenarios", "prompts"):
        assert "too many files are named" in refusal(config(tmp_path, **{key: "file://0.yaml"})), key
    (tmp_path / "3.yaml").write_text("- One\n")
    assert "more than 2000 prompts" in refusal(config(tmp_path, prompts="file://0.yaml"))
