"""Whatever is typed: an exit code of the documented ones, JSON or text, never an unexpected error."""

from __future__ import annotations

import random
from collections.abc import Iterator

import click
import pytest

from selfopt.cli.main import COMMANDS, cli

from .world import Project

CODES = {0, 1, 2, 100, 130}
WORDS = [
    "good", "mute", "scripted/good", "scripted/nope", "local/smollm2-135m", "atomic", "extended", "native_api", "few_shot", "nope",
    "", " ", "-", "--", "/", "..", "0", "-1", "1e309", "nan", "99999999999999999999", "\x1b[2J", "\udcff", "ü", "a" * 5000, "*", "%s",
    "{0}", "tools.json", "selfopt.toml", "atomic.yaml", "home", "missing", "/dev/null", "/proc/self/mem", "\n", "'", '"', "trial-", "run-",
    "rule-", "None", "true", "[bold]", "x=y",
]  # fmt: skip
# These would serve for good, fetch from the network, or run for minutes.
LEFT_OUT = {"quickstart", "scripted", "serve", "ui", "pull"}


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name in command.list_commands(click.Context(command)):
        below = command.get_command(click.Context(command), name)
        if below is not None and name not in LEFT_OUT:
            yield from leaves(below, (*path, name))


LEAVES = list(leaves(cli))


LIKELY = {
    "model": ["good", "mute", "scripted/writer", "scripted/evil", "scripted/broken", "scripted/deep"],
    "phase": ["atomic", "extended"],
    "variant": ["native_api", "restrained", "few_shot_constrained", "atomic"],
    "candidate": ["native_api", "restrained", "eval-"],
    "baseline": ["native_api", "eval-"],
    "baseline_texts": ["good atomic native_api", "mute extended", "mute"],
    "baseline_rest": ["atomic", "native_api"],
    "fallback": ["good", "mute", "scripted/evil"],
    "suite": ["atomic", "extended", "atomic.yaml", "extended.yaml"],
    "trial": ["{trial}"],
    "runs": ["{run}"],
    "rule": ["{rule}", "mute"],
    "version": ["0", "1", "2"],
    "prompt": ["weather in Oslo?"],
    "parsers": ["native", "json", "xml", "bracket", "python_call"],
    "reason": ["because", "\x1b[31mred"],
}
FILES = [
    "tools.json",
    "atomic.yaml",
    "script.yaml",
    "selfopt.toml",
    "candidates.yaml",
    "rules.json",
    "home/harness_feedback.json",
]


def value(rng: random.Random, param: click.Parameter) -> str:
    """A value that mostly fits."""
    if rng.random() < 0.12:
        return rng.choice(WORDS)
    if param.name in ("name", "names"):
        return rng.choice(["atomic", "extended", "native_api", "few_shot", "good", "atomic.yaml", "local/smollm2-135m"])
    if param.name in LIKELY:
        return rng.choice(LIKELY[param.name])
    if isinstance(param.type, click.Choice):
        return str(rng.choice(list(param.type.choices)))
    if isinstance(param.type, click.IntRange):
        return str(rng.choice([1, 1, 2, 3, 0]))
    if isinstance(param.type, click.FloatRange):
        return rng.choice(["0.2", "1", "5", "0.000001"])
    return rng.choice(FILES) if isinstance(param.type, click.Path) else rng.choice(WORDS)


def line(rng: random.Random, path: tuple[str, ...], command: click.Command) -> list[str]:
    """A random command line of this command, mostly with values that fit."""
    words = list(path)
    for param in command.params:
        if isinstance(param, click.Option) and (param.required or rng.random() < 0.25):
            words.append(rng.choice([*param.opts, *param.secondary_opts]))
            if not param.is_flag:
                words.append(value(rng, param))
    for param in command.params:
        if isinstance(param, click.Argument):
            wanted = param.required or rng.random() < 0.4
            words += [value(rng, param) for _ in range(rng.choice([1, 1, 2]) if param.nargs == -1 else 1) if wanted]
    if rng.random() < 0.05:
        words.insert(rng.randint(0, len(words)), rng.choice(WORDS))
    if path[0] == "simulate":
        return [*words, "--replications", "2", "--processes", "1", "--max-trials", "500"]
    return [*words, "--max-trials", "4"] if path[0] in ("run", "supervise", "loop") else words


@pytest.mark.parametrize("seed", range(6))
def test_no_command_line_gives_an_unexpected_error(project: Project, seed: int) -> None:
    """Random flags, values and paths: a documented exit code and never a traceback."""
    rng = random.Random(seed)
    project.write("candidates.yaml", "- variant: restrained\n")
    project.write("rules.json", '{"rules": [{"model": "mute", "phase": "atomic", "allow": false, "fallback": "good"}]}')
    body = project.ok("run", "mute", "extended", "--json").json()
    rule = project.ok("routes", "set", "mute", "atomic", "--allow", "--json").json()["rules"][0]["rule_id"]
    known = {"{trial}": body["verdicts"][0]["trial_id"], "{run}": body["run_ids"][0], "{rule}": rule}
    for _ in range(30):
        words = [known.get(word, word) for word in line(rng, *rng.choice(LEAVES))]
        result = project.run(*words)
        shown = f"{words!r}\n{result.err}"
        assert result.code in CODES, shown
        assert "Traceback" not in result.err, shown
        assert "this is a bug" not in result.err, shown
        assert "\x1b" not in result.out + result.err, shown
        if result.code == 2:
            assert len([x for x in result.err.splitlines() if x.startswith("selfopt: ")]) <= 1, shown
    assert project.ok("audit", "verify", "--json").json()["ok"] is True


@pytest.mark.parametrize("seed", range(2))
def test_no_words_at_all_give_an_unexpected_error(project: Project, seed: int) -> None:
    """Random words, commands among them."""
    rng = random.Random(f"words {seed}")
    commands = [name for name in COMMANDS if name not in LEFT_OUT]
    for _ in range(60):
        words = [
            rng.choice([*WORDS, *commands, "--json", "--help", "--home", "-v", "show", "list"]) for _ in range(rng.randint(0, 5))
        ]
        if {"loop", "scripted", "simulate", "quickstart", "pull"} & set(words):
            continue
        result = project.run(*words)
        assert result.code in CODES, words
        assert "Traceback" not in result.err, (words, result.err)


@pytest.mark.parametrize("name", ["selfopt.toml", "script.yaml", "atomic.yaml", "tools.json", ".env"])
def test_no_file_gives_an_unexpected_error(project: Project, name: str) -> None:
    """Project files cut off and with flipped bytes: refused in one line, or read."""
    rng = random.Random(name)
    path = project.root / name
    content = path.read_bytes() if path.exists() else b"SELFOPT_LIMITS__TIMEOUT_S=3\nX=y\n"
    for number in range(25):
        changed = bytearray(content if number % 2 else content[: rng.randint(0, len(content))])
        for _ in range(rng.randint(0, 4)):
            if changed:
                changed[rng.randrange(len(changed))] = rng.randrange(256)
        path.write_bytes(bytes(changed))
        for words in (
            ["run", "good", "atomic", "--limit", "1"],
            ["try", "good", "x", "--tools", "tools.json"],
            ["suites", "validate", "atomic.yaml"],
        ):
            result = project.run(*words)
            assert result.code in CODES, (number, result.err)
            assert "Traceback" not in result.err, (number, result.err)
