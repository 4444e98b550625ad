"""Runs `canitoolcall probe`, a public check of tool calling, against gateways.

    make test-probe                                        # scripted models that answer rightly: everything has to pass
    make test-probe PROBE_FLAGS="--only 'no rule'"          # those that no variant serves
    make test-probe PROBE_FLAGS='--model local/qwen2.5-coder-0.5b'   # a model of your own home: says how many pass

The scripted models report their calls, write them as text, or write JSON under a limit.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .conftest import by_python, environment, serving

Call = tuple[str, dict[str, Any]]
EVENT = {
    "title": "Design review",
    "start": "2026-10-01T15:00:00Z",
    "attendees": [{"name": "Ana", "email": "ana@example.com"}, {"name": "Bo", "email": "bo@example.com"}],
    "location": {"city": "Berlin", "room": "4.12"},
}
NOTE = {"title": "Grüße aus Zürich", "body": "Café ☕ in 東京 — naïve résumé 🚀"}
# What the probe asks: a text of the question, and what a good model does.
ANSWERS: tuple[tuple[str, tuple[Call, ...], str], ...] = (
    ("temp_c", (), "It is 18 degrees and clear in Paris."),
    ("Paris and in Tokyo", (("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Tokyo"})), ""),
    ("weather in Paris right now", (("get_weather", {"city": "Paris", "unit": "c"}),), ""),
    ("17 + 25", (), "42"),
    ("Design review", (("create_event", EVENT),), ""),
    ("Save a note titled", (("save_note", NOTE),), ""),
    ("time is it on the server", (("get_server_time", {}),), ""),
    ("about Lisbon", (("get_weather", {"city": "Lisbon"}),), ""),
    ("9.11 or 9.9", (("record_answer", {"answer": "9.9"}),), ""),
)


@dataclass(frozen=True, slots=True)
class Gateway:
    """One gateway to probe: the model's way of calling, its server's dialect, and the variant that serves it."""

    calls: str
    kind: str = "openai_compatible"
    variant: str | None = None

    @property
    def name(self) -> str:
        """What it is called in the table."""
        return f"{self.calls} {self.kind} {self.variant or 'no rule'}"


GATEWAYS = (
    Gateway("native"),
    Gateway("written"),
    Gateway("native", "ollama"),
    Gateway("written", "ollama"),
    Gateway("native", "anthropic"),
    *(Gateway("native", variant=f"{name}@2") for name in ("native_api", "native_parsed", "restrained", "fitted")),
    *(Gateway("written", variant=f"{name}@2") for name in ("native_parsed", "atomic", "extended", "few_shot")),
    Gateway("both", variant="gated@2"),
    Gateway("limited", variant="constrained@2"),
)


def reply(way: str, calls: tuple[Call, ...], text: str) -> dict[str, Any]:
    """How a model that calls in this way answers."""
    told = [{"name": name, "arguments": arguments} for name, arguments in calls]
    if way == "limited":
        return {"text": json.dumps({"tool_calls": told}, ensure_ascii=False) if told else text}
    if not told:
        return {"text": text}
    if way == "native":
        return {"tool_calls": told}
    return {"text": "\n".join(f"<tool_call>\n{json.dumps(one, ensure_ascii=False)}\n</tool_call>" for one in told)}


def script() -> dict[str, Any]:
    """The models that answer rightly."""
    models: dict[str, Any] = {}
    for name, with_tools, without in (
        ("native", "native", "native"),
        ("written", "written", "written"),
        ("limited", "limited", "limited"),
        ("both", "native", "written"),
    ):
        rules = [
            {"match": {"conversation_contains": asked, "tools": tools}, **reply(way, calls, text)}
            for asked, calls, text in ANSWERS
            for tools, way in ((True, with_tools), (False, without))
        ]
        models[name] = {"replies": rules, "initially_loaded": True}
    return {"models": models}


def probe(program: str, base_url: str, model: str) -> tuple[dict[str, int], str]:
    """Run the probe. Returns how many of its checks ended how, and its own table."""
    done = subprocess.run(
        [program, "probe", "--base-url", base_url, "--model", model, "--json", "-", "--timeout", "300"],
        capture_output=True,
        text=True,
        check=False,
        timeout=3600,
    )
    try:
        return json.loads(done.stdout)["summary"], done.stderr
    except ValueError:
        raise SystemExit(f"the probe failed: {done.stderr or done.stdout}") from None


@contextmanager
def running(arguments: Sequence[str], env: dict[str, str] | None = None) -> Iterator[str]:
    """A command of selfopt that serves; yields the URL that it prints."""
    command = [sys.executable, "-m", "selfopt", *arguments]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            found = (re.search(r"http://[\w.:\[\]]+(?:/v1)?", line) for line in process.stdout)
            url = next((one.group() for one in found if one is not None), None)
            if url is None:
                raise SystemExit(f"selfopt {' '.join(arguments)} did not start")
            yield url
        finally:
            process.terminate()


@contextmanager
def scripted(folder: Path) -> Iterator[str]:
    """The scripted models as a server; yields its URL."""
    file = folder / "script.yaml"
    file.write_text(json.dumps(script(), ensure_ascii=False), "utf-8")
    (folder / "user.toml").touch()
    with running(["scripted", str(file)], environment(folder)) as url:
        yield url


def settle(folder: Path, url: str, gateways: Sequence[Gateway]) -> None:
    """Write settings with an endpoint for each gateway, and the rules for those that have a variant."""
    entries, rules = [], []
    for number, gateway in enumerate(gateways):
        address = f"{url}/v1" if gateway.kind == "openai_compatible" else url
        grammars = "grammar = true\n" if gateway.calls == "limited" else ""
        entries.append(
            f'[endpoints.e{number}]\nkind = "{gateway.kind}"\nbase_url = "{address}"\napi_key = "scripted-key"\nlocal = true\n{grammars}'
        )
        if gateway.variant is not None:
            variant = json.loads(by_python(folder, "variants", "show", gateway.variant, "--json").stdout)
            known = {"rule_id": "r", "model": f"e{number}/{gateway.calls}", "allow": True, "variant": variant}
            rules += [{**known, "phase": phase, "reason": "to be probed", "source": "manual"} for phase in ("atomic", "extended")]
    (folder / "user.toml").write_text("".join(entries), "utf-8")
    file = folder / "rules.json"
    file.write_text(json.dumps({"schema_version": 1, "rules": rules}), "utf-8")
    done = by_python(folder, "routes", "import", str(file))
    if done.returncode:
        raise SystemExit(done.stderr)


def probe_scripted(program: str, gateways: Sequence[Gateway]) -> bool:
    """Probe the gateways in front of the scripted models. Returns whether everything passed."""
    good = True
    with tempfile.TemporaryDirectory() as temporary, scripted(folder := Path(temporary)) as url:
        settle(folder, url, gateways)
        with serving(folder) as port:
            for number, gateway in enumerate(gateways):
                summary, table = probe(program, f"http://127.0.0.1:{port}/v1", f"e{number}/{gateway.calls}")
                whole = summary["pass"] == sum(summary.values()) and "warnings" not in table
                good = good and whole
                print(f"{summary['pass']:3} of {sum(summary.values())}  {gateway.name}", flush=True)
                if not whole:
                    print(table, flush=True)
    return good


def probe_model(program: str, model: str) -> None:
    """Probe a model of the user's own home and settings, and print what passed."""
    with running(["serve", "--port", "0"]) as url:
        summary, table = probe(program, url, model)
    print(table)
    print(f"{summary['pass']} of {sum(summary.values())}  {model}")


def main() -> int:
    """Probe, and say how it went."""
    parser = argparse.ArgumentParser(description="Runs `canitoolcall probe` against gateways.")
    parser.add_argument("--program", default="canitoolcall", help="the program canitoolcall")
    parser.add_argument("--only", default="", help="probe the gateways whose names contain this")
    parser.add_argument("--model", help="probe this model through a gateway on your own home instead")
    chosen = parser.parse_args()
    if chosen.model:
        probe_model(chosen.program, chosen.model)
        return 0
    gateways = [gateway for gateway in GATEWAYS if chosen.only in gateway.name]
    return 0 if gateways and probe_scripted(chosen.program, gateways) else 1


if __name__ == "__main__":
    sys.exit(main())
