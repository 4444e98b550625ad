"""Every command that a page shows is executed where it can be, and understood everywhere; with scripted models in place of real ones."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from selfopt.cli.main import cli
from selfopt.engine.catalogue import ModelEntry
from selfopt.engine.embedded import EmbeddedEngine
from selfopt.scripted.script import load_script
from selfopt.suites import load_suite
from selfopt.wiring.app import App

from .servers import scripted_server
from .world import Project, Result

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"```(?:bash|sh)\n(.*?)```", re.DOTALL)
# What a page may show besides our own command: programs of the machine, which no test starts.
OTHERS = {
    "make",
    "python3",
    "source",
    "pip",
    "ollama",
    "curl",
    "systemctl",
    "tar",
    "cp",
    "mkdir",
    "useradd",
    "/opt/selfopt/bin/pip",
}
SMALL, LARGE = "local/smollm2-135m", "local/qwen2.5-coder-0.5b"


def answers(*suites: str) -> list[dict[str, Any]]:
    """What a model that is always right says to each prompt of these suites, as text that `native_api` doesn't read."""
    found = []
    for prompt in (prompt for name in suites for prompt in load_suite(name).prompts if prompt.needs_call):
        assert prompt.expected != "any"
        calls = [
            {"name": call.name, "arguments": {key: values[0] for key, values in call.arguments.items() if values[0] != ""}}
            for call in prompt.expected[0]
        ]
        found.append({"match": {"contains": prompt.messages[-1].content}, "text": "\n".join(map(json.dumps, calls))})
    return found


def lines_of(page: Path) -> list[str]:
    """The commands of the shell blocks of a page: continued lines joined, comments left out, `a && b` taken apart."""
    found = []
    for block in BLOCK.findall(page.read_text("utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while "&&" in words:
                found.append(shlex.join(words[: words.index("&&")]))
                words = words[words.index("&&") + 1 :]
            found += [shlex.join(words)] if words else []
    return found


class Machine(Project):
    """A project whose engine is a scripted server. It serves what was pulled, and nothing else."""

    def say(self, command: str) -> Result:
        """Execute one command of a page, which has to succeed."""
        words = [{"DIR": str(self.root), "TRIAL": self.trial}.get(word, word) for word in shlex.split(command)[1:]]
        if words[0] == "trust" and words[1:2] == [str(self.root)]:
            words.append("--yes")  # it asks, and nobody answers here
        result = self.ok(*words)
        self.trial = next(iter(re.findall(r"selfopt show (\w+)", result.out)), self.trial)
        return result

    trial = ""


@pytest.fixture
def machine(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Machine]:
    """Nothing is pulled yet. Ollama has two models."""
    made = Machine(project.root)
    made.write("selfopt.toml", "[limits]\ntimeout_s = 50.0\n")
    entries = {}
    for name in (SMALL, LARGE):
        source = tmp_path / name.replace("/", "-")
        source.write_bytes(name.encode())
        digest = hashlib.sha256(name.encode()).hexdigest()
        body = {"name": name, "file": "m.gguf", "sha256": digest, "size_bytes": len(name), "sources": [f"file:{source}"]}
        entries[name] = ModelEntry.model_validate(body)
    monkeypatch.setattr(App, "catalogue", entries)
    script = made.root / "machine.yaml"
    good = {"replies": answers("atomic", "extended"), "default": {"text": "Hello."}}
    models = {SMALL: {"default": {"text": "I would rather not."}}, **dict.fromkeys((LARGE, "qwen2.5:3b", "llama3.2:3b"), good)}
    script.write_text(json.dumps({"models": models}), "utf-8")
    with scripted_server(load_script(script)) as base_url:

        async def start(engine: EmbeddedEngine, model: str, seat: Any, *, embedding: bool) -> Any:
            async def end() -> None:
                """It is another's server."""

            try:
                engine._verified_path(model)  # "is not pulled; run: ..."
                seat.child = SimpleNamespace(base_url=base_url, api_key="k", alive=True, pid=1, end=end)
                return seat.child
            finally:
                seat.starting = None

        monkeypatch.setattr(EmbeddedEngine, "_start", start)
        monkeypatch.setenv("OLLAMA_HOST", base_url)
        yield made


def ours(page: str) -> list[str]:
    """Our own commands of a page."""
    return [line for line in lines_of(ROOT / page) if line.startswith("selfopt ")]


def test_the_readme_works_from_the_first_line_to_the_last(machine: Machine) -> None:
    """A new user's first hour: the quickstart, the tour, a model of one's own, and everything taken back."""
    said = [machine.say(command) for command in ours("README.md")]
    assert len(said) > 10
    assert "rules version" in said[-1].out


def test_every_step_by_hand_works_in_its_order(machine: Machine) -> None:
    """docs/EXECUTE_LOCALLY.md, line by line: what a step measures is what an earlier one pulled."""
    for command in ours("docs/EXECUTE_LOCALLY.md"):
        machine.say(command)


@pytest.mark.parametrize("page", ["docs/GATEWAY.md", "docs/OPERATE.md", "docs/TEAMS.md"])
def test_the_commands_of_other_pages_work(machine: Machine, page: str) -> None:
    """Those that end by themselves."""
    machine.say(f"selfopt models pull {SMALL} {LARGE}")
    machine.say(f"selfopt routes set {SMALL} atomic --allow")
    for command in ours(page):
        if command.split()[1] != "serve":
            machine.say(command)


def test_the_example_for_python_works_as_it_stands(project: Project) -> None:
    """The script, the settings and the program of docs/PYTHON.md, in a folder that nobody has trusted."""
    text = (ROOT / "docs/PYTHON.md").read_text("utf-8")
    script, settings, program = (re.search(rf"```{kind}\n(.*?)```", text, re.DOTALL) for kind in ("yaml", "toml", "python"))
    assert script is not None
    assert settings is not None
    assert program is not None
    (project.root / "demo.yaml").write_text(script[1], "utf-8")
    (project.root / "selfopt.toml").write_text(settings[1], "utf-8")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(program[1], "PYTHON.md", "exec"), {})
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("scripted/demo 0.333")
    assert lines[-2:] == ["True", "True"]


def parsed(words: list[str]) -> click.Command:
    """The command that these words call. UsageError where one of them is not understood."""
    command: click.Command = cli
    parent = None
    while True:
        ctx = command.make_context(command.name or "selfopt", list(words), parent=parent)
        if not isinstance(command, click.Group):
            return command
        name, inner, words = command.resolve_command(ctx, [*ctx._protected_args, *ctx.args])
        assert inner is not None
        inner.name = name
        command, parent = inner, ctx


# The generated page has its own test, the map names pieces of commands, and EXTENDING adds a command of its own.
PROSE = [page for page in PAGES if page.stem not in ("cli", "SPECIFICATION_MAP", "EXTENDING")]
SHOWN = [(page, command, True) for page in PAGES for command in lines_of(page)]
SHOWN += [
    (page, command, False)
    for page in PROSE
    for command in dict.fromkeys(re.findall(r"`(selfopt [^`|.\[]+)`", page.read_text("utf-8")))
]


@pytest.mark.parametrize(("page", "command", "whole"), SHOWN, ids=[f"{p.stem}-{c[:60]}" for p, c, _ in SHOWN])
def test_every_command_that_is_shown_is_understood(project: Project, page: Path, command: str, whole: bool) -> None:
    """Its name, its options and its arguments; a sentence may leave arguments out. Another program is a known one."""
    words = shlex.split(command)
    if words[0] != "selfopt":
        assert words[0] in OTHERS or words[0].startswith(".venv/bin/"), f"{page.name}: {command}"
        return
    stand_ins = {"VERSION": "1", "N": "1", "FORMAT": "jsonl"}
    left_out = () if whole else (click.MissingParameter, click.exceptions.NoArgsIsHelpError)
    with contextlib.suppress(*left_out):
        parsed([stand_ins.get(word, word) for word in words[1:]])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_every_target_of_make_and_every_script_that_is_shown_is_there(page: Path) -> None:
    """`make quickstart`, `python perf/replies.py`."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for line in lines_of(page):
        words = shlex.split(line)
        targets = [w for w in words[1:] if words[0] == "make" and "=" not in w]
        assert all(
            re.search(rf"^(\$\(VENV\)|\.venv)?/?{re.escape(t.removeprefix('.venv/'))}:", makefile, re.MULTILINE) for t in targets
        )
        assert all((ROOT / w).is_file() for w in words if re.fullmatch(r"(perf|bench|docs)/[\w/]+\.py", w))
