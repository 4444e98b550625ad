"""Registries hold our own implementations and those of installed packages."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Protocol, runtime_checkable

import pytest

from selfopt.extensions import Extension, Registry

GROUP = "selfopt.test_greeters"


@runtime_checkable
class Greeter(Protocol):
    """A seam for these tests."""

    def greet(self) -> str:
        """A greeting."""
        ...


class Plain:
    """A greeter of our own."""

    def greet(self) -> str:
        """A greeting."""
        return "hello"


PLAIN = Plain()
BUILTIN = {"plain": f"{__name__}:PLAIN"}


def registry() -> Registry[Greeter]:
    """A fresh one."""
    return Registry(GROUP, BUILTIN, Greeter)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A package on the path that offers a good greeter, broken ones, and one under a name that is taken."""
    module = f"greeters_of_{request.node.name.replace('[', '_').replace(']', '_')}"
    (tmp_path / f"{module}.py").write_text(
        "class Loud:\n    def greet(self):\n        return 'HELLO'\n"
        "good = Loud()\nwrong = object()\n"
        "def __getattr__(name):\n    raise RuntimeError('a secret plan' if name == 'absent' else 'x' * 9999)\n",
        "utf-8",
    )
    (tmp_path / f"{module}_ends.py").write_text("raise SystemExit(3)\n", "utf-8")
    info = tmp_path / "greeters-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: greeters\nVersion: 1.2\n", "utf-8")
    (info / "entry_points.txt").write_text(
        f"[{GROUP}]\nloud = {module}:good\nplain = {module}:good\nwrong = {module}:wrong\n"
        f"raises = {module}:absent\ntalks = {module}:talks\nends = {module}_ends:x\nmissing = no_such_module_here:x\n",
        "utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return module


def test_what_was_added_is_told_from_our_own() -> None:
    """While it is added, and by its name alone."""
    registry: Registry[object] = Registry("selfopt.none", {"own": "selfopt.errors:UsageError"}, object)
    assert registry.added() == {}
    with registry.adding("more", 7):
        assert registry.get("own") is not None
        assert registry.added() == {"more": 7}
    assert registry.added() == {}


def test_our_own_are_loaded_by_name_and_unknown_names_give_nothing() -> None:
    """A name is a key, not a guess."""
    known = registry()
    assert known.get("plain") is PLAIN
    assert known.get("Plain") is None
    assert known.names() == known.builtin == ("plain",)
    assert known.all() == {"plain": PLAIN}


def test_a_package_s_implementation_is_used_beside_ours(install: str) -> None:
    """What an installed package offers is loaded at the first question for it, and not before."""
    known = registry()
    assert known.get("plain") is PLAIN
    assert install not in sys.modules
    found = known.get("loud")
    assert found is not None
    assert found.greet() == "HELLO"
    assert known.names() == ("plain", "loud")


@pytest.mark.usefixtures("install")
def test_broken_implementations_are_reported_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """None of them keeps ours or the good one from working, and each says what is wrong with it."""
    known = registry()
    with caplog.at_level(logging.WARNING, "selfopt.extensions"):
        problems = {found.name: found.problem for found in known.installed()}
    assert problems.pop("loud") is None
    assert len(problems.pop("talks") or "") == 300
    assert problems == {
        "plain": "takes a name that is taken",
        "wrong": "does not satisfy Greeter",
        "raises": "cannot be loaded: RuntimeError: a secret plan",
        "ends": "cannot be loaded: SystemExit: 3",
        "missing": "cannot be loaded: ModuleNotFoundError: No module named 'no_such_module_here'",
    }
    assert len(caplog.records) == len(problems) + 1
    assert known.installed()[0] == Extension(GROUP, "ends", "greeters", "1.2", problems["ends"])
    assert known.get("plain") is PLAIN


def test_an_implementation_can_be_added_for_a_while() -> None:
    """It is gone afterwards, and it may not take a name or miss the seam."""
    known = registry()
    other = Plain()
    with known.adding("other", other):
        assert known.get("other") is other
        assert known.names() == ("plain", "other")
        with pytest.raises(ValueError, match="taken"), known.adding("other", other):
            pass
    assert known.get("other") is None
    with pytest.raises(ValueError, match="taken"), known.adding("plain", other):
        pass
    with pytest.raises(ValueError, match="Greeter"), known.adding("broken", object()):  # type: ignore[arg-type]
        pass


@pytest.mark.usefixtures("install")
def test_an_implementation_that_raises_when_asked_is_named_and_replaced(caplog: pytest.LogCaptureFixture) -> None:
    """The others answer; an error of our own is raised, since it is ours to mend."""
    known = registry()

    def greeting(greeter: Greeter) -> str:
        if not isinstance(greeter, Plain):
            raise RuntimeError("a secret plan")
        return greeter.greet()

    with caplog.at_level(logging.WARNING, "selfopt.extensions"):
        assert list(known.ask(greeting, "silence")) == [("plain", "hello"), ("loud", "silence")]
    assert "'loud' failed with RuntimeError" in caplog.text
    assert "secret" not in caplog.records[-1].getMessage()
    with pytest.raises(ZeroDivisionError):
        list(known.ask(lambda greeter: str(1 / 0), ""))
