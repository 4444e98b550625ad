"""Every verb leaves the same behind, whether the command line or Python asked for it."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

import selfopt
from selfopt import Selfopt
from selfopt.cli.main import COMMANDS, cli
from selfopt.export.columns import TableKind
from tests.cli.world import Project
from tests.suites.bfcl_kit import texts, write_folder

BASELINE = "scripted/writer atomic native_api"
TRIAL = "TRIAL"
"""Stands for the id of a trial that failed, in a command line and in `Lived.trial`."""


@dataclass(frozen=True, slots=True)
class Lived:
    """A home in which something happened already, and what a verb may be asked about there."""

    project: Project
    trial: str
    run: str


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb through both doors. python: gets the open home and what there is in it."""

    words: str
    python: Callable[[Selfopt, Lived], object]


def served(door: Callable[[Selfopt], Any]) -> Callable[[Selfopt, Lived], object]:
    """A server that is started and ended."""

    def work(harness: Selfopt, _: Lived) -> None:
        with door(harness) as base_url:
            assert base_url.startswith("http://127.0.0.1:")

    return work


def trust(harness: Selfopt, lived: Lived) -> None:
    """Propose and accept, as the command does in one step."""
    harness.trust.accept(harness.trust.propose(lived.project.root))


def _table(kind: TableKind) -> Verb:
    return Verb(f"export {kind} --out {kind}.csv", lambda h, _: h.export.write(kind, f"{kind}.csv"))


VERBS: dict[str, Verb] = {
    "audit anchor": Verb("audit anchor", lambda h, _: h.audit.anchor()),
    "audit show": Verb("audit show", lambda h, _: h.audit.show(20)),
    "audit trace": Verb("audit trace mute extended", lambda h, _: h.audit.trace("mute extended")),
    "audit verify": Verb("audit verify", lambda h, _: h.audit.verify_home()),
    "check": Verb("check check.yml", lambda h, _: h.check("check.yml")),
    "compare": Verb("compare mute good --limit 2", lambda h, _: h.compare("mute", "good", limit=2)),
    "decide": Verb("decide scripted/writer atomic", lambda h, _: h.decide("scripted/writer", "atomic")),
    "doctor": Verb("doctor", lambda h, _: h.doctor()),
    "enforce": Verb("enforce", lambda h, _: h.enforce()),
    **{
        f"export {kind}": _table(kind)
        for kind in ("trials", "verdicts", "evaluations", "decisions", "checks", "requests", "feedback")
    },
    "feedback": Verb("feedback", lambda h, _: h.feedback()),
    "keys add": Verb("keys add desk --scope phase", lambda h, _: h.keys.add("desk", scopes=["phase"])),
    "keys list": Verb("keys list", lambda h, _: h.keys.list()),
    "keys set": Verb("keys set old --budget-day 5", lambda h, _: h.keys.set("old", {"budget_day": 5.0})),
    "keys usage": Verb("keys usage --by day", lambda h, _: h.keys.usage(by="day")),
    "keys revoke": Verb("keys revoke old", lambda h, _: h.keys.revoke("old")),
    "loop": Verb(f"loop --max-candidates 1 --baseline {BASELINE}", lambda h, _: h.loop(baselines=[BASELINE], max_candidates=1)),
    "models list": Verb("models list", lambda h, _: h.models.list()),
    "models ps": Verb("models ps good", lambda h, _: h.models.ps("good")),
    "models rm": Verb("models rm local/smollm2-135m", lambda h, _: h.models.rm("local/smollm2-135m")),
    "report": Verb("report", lambda h, _: h.report()),
    "rescore": Verb("rescore RUN --parser json", lambda h, lived: h.rescore([lived.run], parsers=["json"])),
    "routes history": Verb("routes history", lambda h, _: h.routes.history()),
    "routes import": Verb("routes import rules.json", lambda h, _: h.routes.import_file("rules.json")),
    "routes remove": Verb("routes remove mute extended", lambda h, _: h.routes.remove("mute", "extended")),
    "routes rollback": Verb("routes rollback 0", lambda h, _: h.routes.rollback(0)),
    "routes set": Verb(
        "routes set mute atomic --deny --reason no", lambda h, _: h.routes.set("mute", "atomic", allow=False, reason="no")
    ),
    "routes unban": Verb("routes unban", lambda h, _: h.routes.bans()),
    "routes show": Verb("routes show", lambda h, _: h.routes.show()),
    "run": Verb("run mute extended --limit 2", lambda h, _: h.run("mute", "extended", limit=2)),
    "scripted": Verb("scripted script.yaml --check", served(lambda h: h.scripted("script.yaml"))),
    "show": Verb(f"show {TRIAL}", lambda h, lived: h.show(lived.trial)),
    "simulate": Verb("simulate --replications 1", lambda h, _: h.simulate(replications=1)),
    "suites add-from-ledger": Verb(
        f"suites add-from-ledger {TRIAL} --to kept.yaml", lambda h, lived: h.suites.add_from_ledger(lived.trial, to="kept.yaml")
    ),
    "suites import bfcl": Verb("suites import bfcl --from bfcl", lambda h, _: h.suites.import_("bfcl", "bfcl")),
    "suites export": Verb("suites export atomic out.jsonl", lambda h, _: h.suites.export("atomic", "out.jsonl", "jsonl")),
    "suites import csv": Verb(
        "suites import csv rows.csv --tools tools.json", lambda h, _: h.suites.import_("csv", "rows.csv", tools="tools.json")
    ),
    "suites import xlam": Verb("suites import xlam xlam.json", lambda h, _: h.suites.import_("xlam", "xlam.json")),
    "suites import jsonl": Verb(
        "suites import jsonl lines.jsonl --name lines --tools tools.json",
        lambda h, _: h.suites.import_jsonl("lines.jsonl", "lines", tools="tools.json"),
    ),
    "suites import promptfoo": Verb(
        "suites import promptfoo foo.yaml --name foo --tools tools.json",
        lambda h, _: h.suites.import_promptfoo("foo.yaml", "foo", tools="tools.json"),
    ),
    "suites list": Verb("suites list", lambda h, _: h.suites.list()),
    "suites new": Verb("suites new mine", lambda h, _: h.suites.new("mine")),
    "suites show": Verb("suites show atomic", lambda h, _: h.suites.show("atomic")),
    "suites validate": Verb("suites validate atomic", lambda h, _: h.suites.validate("atomic")),
    "supervise": Verb("supervise good atomic --runs 2", lambda h, _: h.supervise("good", "atomic", runs=2)),
    "trust": Verb("trust . --yes", trust),
    "tune": Verb(
        "tune good --tools tools.json --writer none --prompts 24 --prompts-only",
        lambda h, _: h.tune("good", "tools.json", writer="none", prompts=24, prompts_only=True),
    ),
    "try": Verb("try good hello --tools tools.json", lambda h, _: h.try_("good", "hello", tools="tools.json")),
    "variants list": Verb("variants list", lambda h, _: h.variants.list()),
    "variants parts": Verb("variants parts", lambda h, _: h.variants.parts()),
    "variants diff": Verb("variants diff native_api few_shot", lambda h, _: h.variants.diff("native_api", "few_shot")),
    "ledger show": Verb("ledger show", lambda h, _: h.ledger.show()),
    "variants render": Verb(
        "variants render native_api hello --tools tools.json",
        lambda h, _: h.variants.render("native_api", "hello", tools="tools.json"),
    ),
    "variants show": Verb("variants show few_shot", lambda h, _: h.variants.show("few_shot")),
}

MORE: dict[str, Verb] = {
    "a check file to begin with": Verb("check --new new.yaml", lambda h, _: h.new_check_file("new.yaml")),
    "checks that are over": Verb("check --list", lambda h, _: h.checks()),
    "loop over the plan": Verb("loop --dry-run", lambda h, _: h.plan()),
    "an account of a decision": Verb("decide --explain decision", lambda h, _: h.explain("decision")),
    "warm-up": Verb(
        "supervise good atomic --validate-warm-up --runs 2", lambda h, _: h.validate_warm_up("good", "atomic", runs=2)
    ),
}

ELSEWHERE = {
    "escalation": "needs answers with log probabilities; tests/verbs/test_escalation.py comes through both doors",
    "config edit": "opens an editor; a program sets what it wants with selfopt.open(settings=...)",
    "config path": "the place of a file that programs do not need",
    "config show": "`harness.settings` are the settings in force; tests/test_api.py",
    "export bfcl": "needs trials of a BFCL suite; tests/cli/test_export_others.py",
    "export inspect": "needs its own package; tests/services",
    "export mlflow": "needs its own package; tests/services",
    "export wandb": "needs its own package; tests/services",
    "ledger import": "needs a database; tests/services",
    "ledger migrate": "needs a database; tests/services",
    "suites import inspect": "needs its own package; tests/services",
    "models pull": "fetches from the network; tests/verbs/test_models.py has both ways of calling the one function",
    "prices import": "writes a file of the user's own settings, as `config edit` does; tests/verbs/test_pricing.py",
    "prices show": "`harness.settings.prices` are the prices in force",
    "quickstart": "needs two real models; both doors call run_quickstart (tests/acceptance)",
    "serve": "runs until it is ended; tests/test_api.py and tests/cli/test_servers.py serve through both doors",
    "ui": "runs until it is ended, for a browser; tests/ui",
    "suites pull bfcl": "fetches from the network and then does what `suites import bfcl` does",
}


def leaves(group: click.Group, before: str = "") -> Iterator[str]:
    """Every command of a group, with the groups in front of it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from leaves(command, f"{before}{name} ")
        else:
            yield f"{before}{name}"


def test_every_command_has_its_verb_in_python() -> None:
    """A command without one, or without a reason, fails here."""
    commands = set(leaves(cli))
    assert {name.split()[0] for name in commands} == set(COMMANDS)
    assert commands - set(VERBS) - set(ELSEWHERE) == set()
    assert (set(VERBS) | set(ELSEWHERE)) - commands == set()


def lives_in(project: Project, patch: pytest.MonkeyPatch) -> None:
    """The environment and the working folder of a project."""
    for name in [n for n in os.environ if n not in project.environ()]:
        patch.delenv(name)
    for name, value in project.environ().items():
        patch.setenv(name, value)
    patch.chdir(project.root)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """Measured, looped over, enforced and with a key; what the verbs are to read lies beside it."""
    project = Project(tmp_path_factory.mktemp("lived"))
    line = {"messages": [{"role": "user", "content": "hello"}], "expected": []}
    project.write("lines.jsonl", json.dumps(line))
    project.write("foo.yaml", "tests: [{vars: {prompt: hi}, assert: [{type: is-valid-openai-tools-call}]}]")
    project.write("check.yml", "suite: atomic\nmodel: good\nmin_accuracy: 0.1\n")
    project.write("rows.csv", "prompt,expected\nhello,\n")
    tool = {"name": "t", "description": "d", "parameters": {"x": {"type": "str", "description": "d"}}}
    answers = [{"name": "t", "arguments": {"x": "a"}}]
    project.write("xlam.json", json.dumps([{"id": 1, "query": "q", "tools": json.dumps([tool]), "answers": json.dumps(answers)}]))
    project.write("rules.json", '{"rules": [{"model": "mute", "phase": "atomic", "allow": true}]}')
    project.write("c.yaml", "- variant: native_parsed\n")
    write_folder(project.root / "bfcl", texts())
    with pytest.MonkeyPatch.context() as patch:
        lives_in(project, patch)
        run = project.ok("supervise", "mute", "extended", "--runs", "3", "--json").json()
        project.ok("supervise", "good", "extended", "--runs", "3")
        project.ok("loop", "--baseline", BASELINE, "--candidates", "c.yaml")
        project.ok("enforce")
        project.ok("keys", "add", "old")
        yield Lived(project, run["verdicts"][0]["trial_id"], run["run_ids"][0])


@contextmanager
def copied(lived: Lived, root: Path) -> Iterator[Project]:
    """The same home and files in another folder."""
    shutil.copytree(lived.project.root, root)
    project = Project(root)
    with pytest.MonkeyPatch.context() as patch:
        lives_in(project, patch)
        yield project


@pytest.mark.parametrize("verb", [pytest.param(v, id=k) for k, v in {**VERBS, **MORE}.items()])
def test_both_doors_leave_the_same_behind(verb: Verb, lived: Lived, tmp_path: Path) -> None:
    """Rules and their versions, trail, ledger, rendered files; all but times and ids."""
    with copied(lived, tmp_path / "command") as project:
        words = [{TRIAL: lived.trial, "RUN": lived.run}.get(word, word) for word in verb.words.split()]
        assert project.run(*words).code in (0, 100)
        commanded = left_behind(project)
    with copied(lived, tmp_path / "python") as project, selfopt.open() as harness:
        verb.python(harness, lived)
    left = left_behind(project)
    assert {
        name: (commanded.get(name), left.get(name)) for name in {*commanded, *left} if commanded.get(name) != left.get(name)
    } == {}


_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.]+(Z|[+-]\d\d:\d\d)?")
_ID = re.compile(r"\b[a-z_]+-[0-9a-z]{8,}\b|\b[0-9a-f]{8,}\b")
_MEASURED = re.compile(r"\b\d+(\.\d+)?( ?)(ms|s|min)\b")
_TIMES = re.compile(r"_ms$|_s$|^at$|_at$|^timestamp$|^first_call")


def told(value: Any) -> Any:
    """Without times, ids and figures of the clock."""
    if isinstance(value, dict):
        return {told(k): told(v) for k, v in value.items() if not _TIMES.search(k)}
    if isinstance(value, list):
        return [told(v) for v in value]
    return _MEASURED.sub("N", _ID.sub("ID", _TIME.sub("T", value))) if isinstance(value, str) else value


def records(path: Path) -> list[str]:
    """What the ledger holds, by kind and content."""
    if not path.exists():
        return []
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT kind, body FROM records").fetchall()
    connection.close()
    return sorted(f"{kind} {json.dumps(told(json.loads(body)), sort_keys=True)}" for kind, body in rows)


def left_behind(project: Project) -> dict[str, Any]:
    """Everything in the home, the suites beside it, and what trusts the folder."""
    kept = Counter(records(project.home / "ledger.sqlite3"))
    found: dict[str, Any] = {f"ledger: {text}": n for text, n in kept.items()}
    beside = [*project.root.glob("*.yaml"), *(path for path in (project.root / "xdg").rglob("*") if path.is_file())]
    files = project.files() | {str(path.relative_to(project.root)): path.read_bytes() for path in beside}
    for name, data in sorted(files.items()):
        text = data.decode("utf-8", "replace").replace(str(project.root), "ROOT")
        if name.startswith("ledger"):
            continue
        if name.endswith(".jsonl"):
            content = [told(json.loads(line)) for line in text.splitlines()]
        elif name.startswith("reports/") and not name.endswith(".json"):  # prose, which rounds figures of the clock
            content = [line for line in text.splitlines() if line.startswith("#")]
        else:
            content = told(json.loads(text)) if name.endswith(".json") else told(text).splitlines()
        found.setdefault(told(name), []).append(content)
    return {name: sorted(contents, key=repr) if isinstance(contents, list) else contents for name, contents in found.items()}
