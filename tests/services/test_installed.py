"""What others do with selfopt as it is installed from a wheel, in a fresh environment: pytest's plug-in, and the action of GitHub."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.world import ATOMIC, SCRIPT
from tests.deploy.runner import Runner, bare_environ, fresh_python

ROOT = Path(__file__).resolve().parents[2]
ACTION = ROOT / "deploy" / "github-action" / "action.yml"
pytestmark = pytest.mark.services


@dataclass(frozen=True, slots=True)
class Theirs:
    """A project of somebody else, with settings of the user's own."""

    root: Path
    programs: Path

    def environ(self) -> dict[str, str]:
        """Its variables."""
        return bare_environ(self.programs, self.root.parent)

    def pytest(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run pytest as it was installed, in the project."""
        command = [str(self.programs / "python"), "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        return subprocess.run(
            command, cwd=self.root, env=self.environ(), capture_output=True, text=True, timeout=300, check=False
        )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this repository, built from a copy of its files."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(source)], check=True, capture_output=True)
    (found,) = folder.glob("selfopt-*.whl")
    return found


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with that wheel, pytest and xdist."""
    return fresh_python(tmp_path_factory.mktemp("fresh") / "env", str(wheel), "pytest", "pytest-xdist")


@pytest.fixture
def theirs(programs: Path, tmp_path: Path) -> Theirs:
    """Tests and a conftest of their own, a suite, and a scripted endpoint in the user's settings."""
    root, config = tmp_path / "project", tmp_path / "config" / "selfopt"
    for folder in (root / "suites", root / "tests", config):
        folder.mkdir(parents=True)
    (config / "script.yaml").write_text(SCRIPT, "utf-8")
    script = f'[endpoints.lab]\nkind = "scripted"\nscript = "{config / "script.yaml"}"\n'
    (config / "selfopt.toml").write_text(script, "utf-8")
    (root / "suites" / "kiosk.yaml").write_text(ATOMIC, "utf-8")
    (root / "conftest.py").write_text("import pytest\n\n@pytest.fixture\ndef answer():\n    return 42\n", "utf-8")
    (root / "tests" / "test_mine.py").write_text("def test_mine(answer):\n    assert answer == 42\n", "utf-8")
    return Theirs(root, programs)


def test_prompts_are_tests_of_an_installed_pytest(theirs: Theirs) -> None:
    """Beside the project's own, in two workers, chosen by word and by marker; a JUnit file names their trials."""
    asked = ("--selfopt-suite", "suites/kiosk.yaml", "--selfopt-model", "lab/good", "-W", "error")
    for more, summary in (
        (("-n", "2"), "4 passed"),
        (("-k", "A1"), "1 passed, 3 deselected"),
        (("-m", "selfopt"), "3 passed, 1 deselected"),
        (("-m", "not selfopt"), "1 passed, 3 deselected"),
    ):
        done = theirs.pytest(*asked, *more)
        assert done.returncode == 0, done.stdout + done.stderr
        assert summary in done.stdout.splitlines()[-1]
    mute = theirs.pytest(*asked[:3], "lab/mute", "-n", "2", "--junitxml", "j.xml")
    assert mute.returncode == 1
    cases = {case.get("name"): case for case in ET.parse(theirs.root / "j.xml").getroot().iter("testcase")}
    assert set(cases) == {"A1", "A2", "A3", "test_mine"}
    assert [name for name in sorted(cases, key=str) if cases[name].find("failure") is not None] == ["A1", "A2"]
    assert all(cases[name].find("properties/property[@name='selfopt_trial']") is not None for name in ("A1", "A2", "A3"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--selfopt-suite", "suites/none.yaml", "--selfopt-model", "lab/good"), "no such file"),
        (("--selfopt-suite", "conftest.py", "--selfopt-model", "lab/good"), "conftest.py"),
        (("--selfopt-suite", "suites/kiosk.yaml", "--selfopt-model", "nobody/x"), "unknown model 'nobody/x'"),
        (("--selfopt-suite", "suites/kiosk.yaml"), "add --selfopt-model"),
    ],
)
def test_what_cannot_be_is_one_line(theirs: Theirs, arguments: tuple[str, ...], says: str) -> None:
    """pytest's own exit code of a usage error, also with workers."""
    for more in ((), ("-n", "2")):
        done = theirs.pytest(*arguments, *more)
        assert done.returncode == 4, done.stdout + done.stderr
        (line,) = [line for line in done.stderr.splitlines() if line.strip()]
        assert line.startswith("ERROR: selfopt: ")
        assert says in line


def test_without_the_option_pytest_imports_one_file_more(theirs: Theirs) -> None:
    """Of those that are loaded besides, none is ours, pydantic or aiohttp."""
    (theirs.root / "tests" / "test_mine.py").write_text(
        "import sys\n\n\ndef test_mine():\n    names = {name.partition('.')[0] for name in sys.modules}\n"
        "    assert not {'pydantic', 'aiohttp', 'msgspec', 'rich', 'yaml', 'jinja2'} & names\n"
        "    assert {name for name in sys.modules if name.startswith('selfopt')} == {'selfopt', 'selfopt.pytest_plugin'}\n",
        "utf-8",
    )
    done = theirs.pytest()
    assert done.returncode == 0, done.stdout
    assert "selfopt" in done.stdout.split("plugins:")[1].splitlines()[0]


def test_the_action_installs_a_wheel_and_checks(wheel: Path, theirs: Theirs, tmp_path: Path) -> None:
    """Whole, in a fresh Python: a build that passes, and names with blanks, quotes and ends of lines."""
    runner = Runner(theirs.root, bare_environ(fresh_python(tmp_path / "bare"), tmp_path))
    name = "my 'own' \"check\" $(touch owned) `touch owned`.yaml"
    (theirs.root / name).write_text(
        "suite: suites/kiosk.yaml\nmodel: lab/good\nvariant: native_api\nmin_accuracy: 0.9\n", "utf-8"
    )
    good, outputs = runner.run(ACTION, {"requirement": str(wheel), "file": name, "junit": "a report.xml", "max-trials": "500"})
    assert good, runner.said
    assert outputs == {"exit-code": "0"}
    assert ET.parse(runner.artifacts["selfopt-check"]).getroot().get("failures") == "0"
    assert "passes" in runner.summary
    assert not list(theirs.root.rglob("owned"))


@pytest.mark.parametrize(
    ("inputs", "code", "says"),
    [
        ({"file": "mute.yaml"}, "100", "fails"),
        ({"file": "nothing.yaml"}, "2", "nothing.yaml"),
        ({"file": "two\nlines; touch owned"}, "2", "no verdict"),
        ({"file": "away.yaml"}, "1", "127.0.0.1"),
        ({"file": "mute.yaml", "max-trials": "1; touch owned"}, "2", "max-trials"),
        ({"file": "mute.yaml", "max-minutes": "$(touch owned)"}, "2", "max-minutes"),
        ({"file": "mute.yaml", "max-cost": "x\n--record=owned"}, "2", "max-cost"),
    ],
)
def test_the_action_fails_with_a_report(theirs: Theirs, inputs: dict[str, str], code: str, says: str) -> None:
    """Whatever the end: its code, a JUnit file with a failure or an error, a summary, an annotation; nothing was executed."""
    with (theirs.root.parent / "config" / "selfopt" / "selfopt.toml").open("a", encoding="utf-8") as own:
        own.write('[endpoints.away]\nkind = "openai_compatible"\nbase_url = "http://127.0.0.1:9"\n')
    for name, model in (("mute", "lab/mute"), ("away", "away/x")):
        text = f"suite: suites/kiosk.yaml\nmodel: {model}\nvariant: native_api\nmin_accuracy: 0.9\n"
        (theirs.root / f"{name}.yaml").write_text(text, "utf-8")
    (theirs.root / "selfopt-junit.xml").write_text("<testsuites/>", "utf-8")
    runner = Runner(theirs.root, theirs.environ())
    good, outputs = runner.run(ACTION, {"requirement": "none", **inputs})
    assert not good
    assert outputs == {"exit-code": code}
    root = ET.parse(runner.artifacts["selfopt-check"]).getroot()
    assert (root.get("failures") != "0") == (code == "100")
    assert (root.get("errors") != "0") == (code != "100")
    assert says in runner.summary
    assert any(line.startswith("::error ") for line in runner.said.splitlines())
    assert not list(theirs.root.rglob("owned*"))
    assert os.listdir(theirs.root.parent / "config") == ["selfopt"]
