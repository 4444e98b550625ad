"""`pytest --selfopt-suite FILE`: every prompt of a suite is a test.

Until that option is given nothing else of selfopt is imported, so pytest is as fast as without.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from selfopt.verbs.prompt_tests import PromptTests, TestedPrompt

_OPTIONS: tuple[tuple[str, str, type | None, str], ...] = (
    ("model", "MODEL", None, "The model that is asked: its name or alias."),
    ("variant", "NAME", None, "Ask with this variant. Default: that of the rule in force, else native_api."),
    ("split", "PART", None, "Part of the suites: search, heldout, canary or all."),
    ("limit", "N", int, "Only the first N prompts of each suite."),
    ("home", "DIR", None, "Home folder. Default: as for every command of selfopt."),
    ("max-trials", "N", int, "Ask at most N prompts, in all processes together; the others fail."),
    ("max-minutes", "N", float, "Ask no more prompts after N minutes."),
    ("max-tokens", "N", int, "Ask no more prompts after N tokens, in and out."),
    ("max-cost", "N", float, "Ask no more prompts at this cost."),
)
_CAPS = ("max_trials", "max_minutes", "max_tokens", "max_cost")
_SPLITS = ("search", "heldout", "canary", "all")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options."""
    group = parser.getgroup("selfopt", "prompts of tool calling as tests (selfopt)")
    told = "Make every prompt of this suite a test. May be repeated."
    group.addoption("--selfopt-suite", action="append", default=[], metavar="NAME|FILE", help=told)
    for name, metavar, kind, text in _OPTIONS:
        group.addoption(f"--selfopt-{name}", type=kind, default=None, metavar=metavar, help=text)


def pytest_configure(config: pytest.Config) -> None:
    """Reads the suites, if there are any."""
    config.addinivalue_line(
        "markers",
        "selfopt(suite, phase, kind, split): a prompt of a suite, such as -m \"selfopt(phase='extended')\" (selfopt)",
    )
    if config.getoption("selfopt_suite"):
        config.pluginmanager.register(_Prompts(config), "selfopt-prompts")


class _Failed(Exception):
    """A prompt's answer was not right."""

    def __init__(self, tested: TestedPrompt) -> None:
        super().__init__(tested.answer.outcome.value)
        self.tested = tested


class _Prompts:
    """The suites of one process. With pytest-xdist, each worker has its own, and asks the prompts it is given."""

    def __init__(self, config: pytest.Config) -> None:
        from selfopt.errors import SelfoptError

        self._config = config
        self._ending = ExitStack()
        input_of_worker: dict[str, Any] | None = getattr(config, "workerinput", None)
        self._worker = input_of_worker
        self._shared: dict[str, Any] = dict(input_of_worker["selfopt"]) if input_of_worker is not None else _made(self._ending)
        try:
            self._open()
        except SelfoptError as error:
            self._ending.close()
            raise pytest.UsageError(f"selfopt: {error}") from None

    def _open(self) -> None:
        from selfopt.api.runner import Runner
        from selfopt.errors import UsageError
        from selfopt.verbs.opening import App
        from selfopt.verbs.prompt_tests import PromptTestRequest, PromptTests
        from selfopt.verbs.shared_caps import shared_caps

        option = self._config.getoption
        if not option("selfopt_model"):
            raise UsageError("--selfopt-suite needs to know which model to ask; add --selfopt-model ENDPOINT/NAME")
        if option("selfopt_split") not in (None, *_SPLITS):
            raise UsageError(f"--selfopt-split {option('selfopt_split')!r}: write {', '.join(_SPLITS)}")
        for name in ("limit", *_CAPS):
            value = option(f"selfopt_{name}")
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"--selfopt-{name.replace('_', '-')} {value:g}: write a number above 0")
        caps = {name: value for name in _CAPS if (value := option(f"selfopt_{name}")) is not None}
        self._app = App.open(option("selfopt_home"), {"limits": caps} if caps else None)
        self._runner = Runner()
        self._ending.callback(self._runner.close, self._app.close)
        self._caps = shared_caps(self._app, Path(self._shared["spent"]), self._shared["began_at"])
        self._suites: dict[str, tuple[PromptTests, Path | None]] = {}
        suites: dict[Path | str, str] = {}
        for name in option("selfopt_suite"):
            suites.setdefault(_file(self._config.invocation_params.dir, name) or name, name)
        for where, named in suites.items():
            path = where if isinstance(where, Path) else None
            request = PromptTestRequest(
                model=option("selfopt_model"),
                suite=str(path) if path is not None else named,
                variant=option("selfopt_variant"),
                split=option("selfopt_split"),
                limit=option("selfopt_limit"),
            )
            self._suites[named] = PromptTests(self._app, request, self._shared["group_id"]), path

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tells a worker of pytest-xdist what all of them share."""
        node.workerinput["selfopt"] = self._shared

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Takes the lock of the home, once for all workers, and checks what the first request needs."""
        from selfopt.errors import SelfoptError

        if session.config.option.collectonly:
            return
        try:
            for tests, _ in self._suites.values():
                tests.require()
            if self._worker is None:
                from selfopt.verbs.prompt_tests import hold

                self._ending.enter_context(hold(self._app, [tests for tests, _ in self._suites.values()]))
        except SelfoptError as error:
            pytest.exit(f"selfopt: {error}", returncode=error.exit_code)

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Collects a suite that lies in a folder of tests, or is named with one of its prompts (`FILE::PROMPT`)."""
        for named, (_, path) in self._suites.items():
            if path is not None and path == file_path.resolve():
                return _suite(parent, file_path, named, self)
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Adds the suites that nothing else collected."""
        seen = {item.parent.named for item in items if isinstance(item.parent, SuiteFile)}
        asked_for = {
            (session.config.invocation_params.dir / arg.partition("::")[0]).resolve()
            for arg in session.config.args
            if "::" in arg
        }
        for named, (_, path) in self._suites.items():
            if named not in seen and path not in asked_for:
                at = path if path is not None else session.config.rootpath / named
                items.extend(_suite(session, at, named, self, "" if path is not None else f"selfopt:{named}").collect())

    def tests(self, named: str) -> PromptTests:
        """The prompts of a suite, by its name on the command line."""
        return self._suites[named][0]

    def ask(self, named: str, prompt_id: str) -> TestedPrompt:
        """Asks one prompt."""
        return self._runner.wait(self.tests(named).ask(prompt_id, self._caps))

    def pytest_report_header(self) -> list[str]:
        """Says what is asked."""
        return [
            f"selfopt: {tests.suite.name}, prompts: {len(tests.prompts)}, {tests.label}" for tests, _ in self._suites.values()
        ]

    def pytest_unconfigure(self) -> None:
        """Closes the home, and frees its lock."""
        self._ending.close()


class SuiteFile(pytest.File):
    """A suite. named: as on the command line."""

    named: str
    prompts: _Prompts

    def collect(self) -> Iterable[pytest.Item]:
        """Yields a test for each prompt."""
        tests = self.prompts.tests(self.named)
        for prompt in tests.prompts:
            item = PromptItem.from_parent(self, name=prompt.id)
            told = {"suite": tests.suite.name, "phase": tests.phase, "kind": prompt.kind, "split": prompt.split}
            item.add_marker(pytest.mark.selfopt(**told))
            item.extra_keyword_matches.update((tests.suite.name, tests.phase, prompt.kind))
            yield item


class PromptItem(pytest.Item):
    """A prompt: it passes if the answer is right."""

    def runtest(self) -> None:
        """Asks the model once."""
        assert isinstance(self.parent, SuiteFile)
        tested = self.parent.prompts.ask(self.parent.named, self.name)
        self.user_properties.append(("selfopt_trial", tested.answer.trial_id))
        self.user_properties.append(("selfopt_outcome", tested.answer.outcome.value))
        if not tested.passed:
            raise _Failed(tested)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Says what was wanted, replied and read, or what went wrong in one line."""
        from selfopt.errors import SelfoptError
        from selfopt.words.excerpts import failure_lines, one_line

        if isinstance(excinfo.value, _Failed):
            return "\n".join(failure_lines(excinfo.value.tested.prompt, excinfo.value.tested.answer))
        if isinstance(excinfo.value, SelfoptError):
            return one_line(str(excinfo.value))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the prompt is."""
        assert isinstance(self.parent, SuiteFile)
        return self.path, None, f"{self.parent.named}: {self.name}"


def _suite(parent: pytest.Collector, path: Path, named: str, prompts: _Prompts, nodeid: str = "") -> SuiteFile:
    more: dict[str, Any] = {"nodeid": nodeid} if nodeid else {}
    suite: SuiteFile = SuiteFile.from_parent(parent, path=path, **more)
    suite.named, suite.prompts = named, prompts
    return suite


def _file(folder: Path, named: str) -> Path | None:
    """The file of a suite; None where it is a name."""
    path = (folder / named).resolve()
    return path if os.sep in named or path.suffix in (".yaml", ".yml", ".json") else None


def _made(ending: ExitStack) -> dict[str, Any]:
    """What all processes of this run share: the group of their runs, and a file that counts what they spend."""
    from selfopt.records import new_id

    descriptor, path = tempfile.mkstemp(prefix="selfopt-", suffix=".json")
    os.close(descriptor)
    ending.callback(_remove, path)
    return {"group_id": new_id("pytest"), "spent": path, "began_at": time.time()}


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)
