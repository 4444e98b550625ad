"""The same replies into measuring, and hostile files into every command that reads one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .replies import KEY, REPLIES
from .world import LONG, ROOT

pytestmark = [pytest.mark.attacks, pytest.mark.timeout(600)]

LONGEST_S = 60.0
MOST_LINES = 60
TOOLS_FILE = ("--tools", "./tools.json", "--variant", "native_parsed")
SHORT = (
    "brackets",
    "number_body",
    "many_calls",
    "echo_plain_200",
    "echo_json_500",
    "echo_split",
    "gzip_bomb",
    "escapes",
)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where somebody measures."""

    folder: Path
    environ: dict[str, str]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """One command line."""
        command = [sys.executable, "-m", "selfopt", *arguments]
        return subprocess.run(command, capture_output=True, timeout=LONGEST_S, env=self.environ, cwd=self.folder, check=False)

    def assert_calm(self, done: subprocess.CompletedProcess[bytes], *, usage: bool = True) -> None:
        """An exit code that is documented, a few lines, no traceback, no key anywhere. usage: a usage error is one of them."""
        said = done.stdout + done.stderr
        assert done.returncode in ((0, 1, 2, 100) if usage else (0, 1, 100)), said[-2000:]
        assert b"Traceback" not in said, said[-3000:]
        assert b"this is a bug" not in said, said[-2000:]
        assert said.count(b"\n") <= MOST_LINES, said[:2000]
        assert b"\x1b" not in said
        assert KEY.encode() not in said
        for path in (self.folder / "home").rglob("*"):
            if path.is_file():
                assert KEY.encode() not in path.read_bytes(), path


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A home whose endpoints are the hostile server, in three dialects."""
    folder = tmp_path_factory.mktemp("desk")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("SELFOPT_", "OPENAI_", "ANTHROPIC_", "OLLAMA_"))}
    environ |= {"SELFOPT_CONFIG": str(folder / "own.toml"), "SELFOPT_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.attacks.upstream"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ, cwd=ROOT) as upstream:
        try:
            assert upstream.stdout is not None
            url = f"http://127.0.0.1:{int(upstream.stdout.readline())}"
            kinds = {"up": "openai_compatible", "anth": "anthropic", "olla": "ollama"}
            entries = [
                f'[endpoints.{n}]\nkind = "{k}"\nbase_url = "{url}"\napi_key = "{KEY}"\nlocal = true\n' for n, k in kinds.items()
            ]
            limits = "[limits]\ntimeout_s = 5\nretries = 0\n[warm_up]\nenabled = false\n"
            (folder / "own.toml").write_text(limits + "".join(entries))
            yield Desk(folder, environ)
        finally:
            upstream.terminate()


@pytest.mark.parametrize("name", list(REPLIES) if LONG else SHORT)
def test_hostile_replies_are_measured_or_refused(desk: Desk, name: str) -> None:
    """`try` and `run` end in time with a result or an error; nothing that leaked is recorded or shown."""
    (desk.folder / "one.json").write_text(json.dumps(_suite()))
    (desk.folder / "tools.json").write_text(json.dumps(_suite()["tool_sets"]["t"]))  # type: ignore[index]
    for endpoint in ("up", "anth", "olla") if LONG else ("up",):
        desk.assert_calm(desk.run("try", f"{endpoint}/{name}", "What is the weather in Oslo?", *TOOLS_FILE), usage=False)
    desk.assert_calm(desk.run("run", f"up/{name}", "atomic", "--suite", "./one.json", "--no-warmup"), usage=False)


def _suite() -> dict[str, object]:
    tool = {
        "name": "get_weather",
        "description": "w",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
    expected = [[{"name": "get_weather", "arguments": {"city": ["Oslo"]}}]]
    prompt = {
        "id": "p1",
        "kind": "one",
        "tool_set": "t",
        "messages": [{"role": "user", "content": "hi"}],
        "expected": expected,
        "reason": "r",
    }
    return {"name": "one", "phase": "atomic", "tool_sets": {"t": [tool]}, "prompts": [prompt]}


def _files() -> dict[str, tuple[str, bytes]]:
    suite = _suite()
    prompt = suite["prompts"][0]  # type: ignore[index]
    many = {f"key{i}": 1 for i in range(16_000)}
    bomb = "a: &a [x]\n" + "".join(f"b{i}: &b{i} [{', '.join([f'*b{i - 1}' if i else '*a'] * 9)}]\n" for i in range(30))
    return {
        "suite_keys": ("suite.json", json.dumps({**suite, **many}).encode()),
        "suite_long_key": ("suite.json", json.dumps({**suite, "k" * 60_000: 1}).encode()),
        "suite_same_ids": ("suite.json", json.dumps({**suite, "prompts": [prompt] * 10_000}).encode()),
        "suite_deep": ("suite.json", b"[" * 1_000_000),
        "suite_deep_yaml": ("suite.yaml", b"[" * 1_000_000),
        "suite_bomb": ("suite.yaml", bomb.encode()),
        "suite_escapes": ("suite.json", json.dumps({**suite, "name": "\x1b[31m\u202e"}).encode()),
        "suite_no_utf8": ("suite.yaml", b"\xff\xfe" * 100_000),
        "suite_tag": ("suite.yaml", b"!!python/object/apply:os.system ['true']"),
        "settings_keys": ("selfopt.toml", "".join(f"k{i} = 1\n" for i in range(16_000)).encode()),
        "settings_long_key": ("selfopt.toml", b"k" * 60_000 + b" = 1\n"),
        "settings_deep": ("selfopt.toml", b"a = " + b"[" * 100_000),
        "settings_no_utf8": ("selfopt.toml", b"\xff" * 1000),
        "env_file": (".env", b"SELFOPT_HOME=/nowhere\n" * 10_000 + b"\x00\xff"),
        "variants_keys": ("variants.yaml", json.dumps({"variants": [{**many, "name": "x"}]}).encode()),
        "variants_deep": ("variants.yaml", b"{a: " * 100_000),
        "rules_keys": ("rules.json", json.dumps({"rules": [{**many, "model": "up/x"}]}).encode()),
        "rules_many": (
            "rules.json",
            json.dumps({"rules": [{"model": f"up/{i}", "phase": "atomic", "allow": True} for i in range(20_000)]}).encode(),
        ),
        "rules_deep": ("rules.json", b"[" * 1_000_000),
    }


FILES = _files()


@pytest.mark.parametrize("name", list(FILES))
def test_hostile_files_are_refused_in_a_few_lines(desk: Desk, name: str) -> None:
    """Whatever stands in them: in time, without a traceback, and bounded on the screen."""
    file, content = FILES[name]
    path = desk.folder / file
    path.write_bytes(content)
    try:
        commands = {
            "suite": ("suites", "validate", f"./{file}"),
            "rules": ("routes", "import", f"./{file}"),
        }
        desk.assert_calm(desk.run(*commands.get(name.partition("_")[0], ("suites", "list"))))
    finally:
        path.unlink()
