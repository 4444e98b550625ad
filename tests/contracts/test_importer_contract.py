"""What every suite importer keeps to: the Protocol in `selfopt.suites.importers.seam`, checked on all that are registered.

`tests/suites/importers/test_KIND.py` gives the sample: `sample(folder)` writes files that can be imported, and returns the path to name.
A package that adds an importer has its sample in a module `test_KIND` on the path.
"""

from __future__ import annotations

import importlib
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from selfopt.errors import SuiteError
from selfopt.suites import IMPORTERS, Importer, ImportRequest, validate_suite
from selfopt.verbs.making import import_suites
from selfopt.wiring.app import App

# Options that every importer's command has.
COMMON = {"source", "name", "phase", "tools", "tools_timeout_s", "replace", "as_json", "help", "from", "tools-timeout", "json"}
HOSTILE = {
    "nothing": b"",
    "binary": random.Random(7).randbytes(4096),
    "no UTF-8": b'{"messages": "\xff\xfe"}',
    "deep": b"[" * 1_000_000,
    "deep mapping": b'{"a":' * 100_000,
    "a number": b"3\n",
    "null": b"null\n",
    "a list": b"[]\n",
    "text": b'"some text"\n',
    "an object": b"{}\n",
    "an executable tag": b"!!python/object/apply:os.system ['true']\n",
}


@dataclass(frozen=True)
class Case:
    """One importer, a place for its files, and who writes them."""

    kind: str
    importer: Importer
    sample: Callable[[Path], Path]
    folder: Path

    def ask(self, source: Path) -> ImportRequest:
        """A request for these files."""
        return ImportRequest(source, "mine")

    def refused(self, source: Path) -> str:
        """The one line with which the files are refused; the home holds no suite afterwards."""
        app = App.open(
            self.folder / "home", {}, {"SELFOPT_CONFIG": "", "HOME": str(self.folder), "SELFOPT_DOTENV": "off"}, self.folder
        )
        with pytest.raises(SuiteError) as caught:
            import_suites(app, self.kind, self.ask(source))
        assert not list(app.home.suites.rglob("*"))
        message = str(caught.value)
        assert message.isprintable(), message
        assert len(message) <= 2_000
        return message

    def spoilt(self, spoil: Callable[[Path], object]) -> Path:
        """The sample, with its largest file replaced."""
        source = self.sample(self.folder / "spoilt")
        files = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.is_file())
        largest = max(files, key=lambda p: p.stat().st_size)
        largest.unlink()
        spoil(largest)
        return source


@pytest.fixture(params=IMPORTERS.names())
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    """Each importer with the sample of its test."""
    importer = IMPORTERS.get(request.param)
    assert importer is not None
    module = f"tests.suites.importers.test_{request.param}" if request.param in IMPORTERS.builtin else f"test_{request.param}"
    return Case(request.param, importer, importlib.import_module(module).sample, tmp_path)


def test_it_says_what_it_is(case: Case) -> None:
    """Help in sentences, and options that collide with none of those that all have."""
    assert isinstance(case.importer, Importer)
    assert case.importer.about.endswith(".")
    assert case.importer.takes.endswith(".")
    assert all(o.flag.startswith("--") and o.key.isidentifier() and o.help.endswith(".") for o in case.importer.options)
    names = [name for o in case.importer.options for name in {o.key, o.flag.removeprefix("--")}]
    assert len(set(names)) == len(names)
    assert not COMMON & set(names)


def test_what_it_makes_is_usable_and_always_the_same(case: Case) -> None:
    """Suites without a problem, each with a name of its own, equal for equal files."""
    source = case.sample(case.folder / "sample")
    found = case.importer.read(case.ask(source))
    assert found.suites
    assert [problem for suite in found.suites for problem in validate_suite(suite)] == []
    names = [suite.name for suite in found.suites]
    assert len(set(names)) == len(names)
    assert case.importer.many or names == ["mine"]
    assert case.importer.read(case.ask(source)) == found
    assert case.importer.read(case.ask(case.sample(case.folder / "sample"))) == found


def test_what_is_stored_is_found_by_name(case: Case) -> None:
    """The home's suites are those that were read, with where they are from."""
    source = case.sample(case.folder / "sample")
    app = App.open(
        case.folder / "home", {}, {"SELFOPT_CONFIG": "", "HOME": str(case.folder), "SELFOPT_DOTENV": "off"}, case.folder
    )
    imported = import_suites(app, case.kind, case.ask(source))
    read = case.importer.read(case.ask(source)).suites
    assert [app.suite(made.name) for made in imported.made] == list(read)
    assert all(made.origin and made.path.is_file() for made in imported.made)


@pytest.mark.parametrize("content", HOSTILE, ids=str)
def test_what_is_not_its_form_is_refused_in_one_line(case: Case, content: str) -> None:
    """Nothing, bytes, depth, other types of data: one line, and nothing is written."""
    case.refused(case.spoilt(lambda path: path.write_bytes(HOSTILE[content])))


def test_what_is_too_large_is_refused_before_it_is_read(case: Case) -> None:
    """A file of a gigabyte that takes no space on the disk."""

    def enlarge(path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(1_000_000_000)

    assert "larger than" in case.refused(case.spoilt(enlarge))


def test_what_is_no_file_is_refused_without_waiting(case: Case) -> None:
    """A pipe that nobody writes to, a folder, and nothing at all."""
    assert case.refused(case.spoilt(os.mkfifo))
    (case.folder / "empty").mkdir()
    case.refused(case.folder / "empty")
    case.refused(case.folder / "nowhere")


def test_a_name_cannot_write_on_the_terminal(case: Case) -> None:
    """Control characters of a file's name are escaped in the message."""
    case.refused(case.folder / "a\x1b[31m\nb.yaml")
