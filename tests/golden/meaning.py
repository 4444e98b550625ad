"""What the commands say of a home, and when two such answers mean the same.

The answers were kept with the code before; these functions ask today's code the same questions. Only `forms` knows of a
newer form.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from selfopt import records
from selfopt.cli.main import run
from selfopt.ledger import open_ledger

__all__ = ["continued", "figures_in", "holds", "ledger_content", "questions", "report_content", "said"]

# Sentences made when they are asked for: other words may stand there tomorrow, other numbers and ids may not.
SENTENCES = frozenset({"claimed", "sure", "would_change", "gates_in_words"})
# Kinds of which the ledger holds too many to keep each.
COUNTED = frozenset({"blob", "trial", "trial_start", "run", "run_end", "verdict", "conclusion", "delivery", "race_block"})


def said(*arguments: str, code: int = 0) -> Any:
    """What a command prints as JSON; it has to end with this code."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        ended = run([*arguments, "--json"])
    assert ended == code, (arguments, ended, out.getvalue(), err.getvalue())
    return json.loads(out.getvalue())


def figures_in(text: str) -> list[str]:
    """The numbers and ids of a text, in order."""
    return re.findall(r"\b[a-z]+-[0-9a-f]{24}\b|[-+]?\d+(?:\.\d+)?%?", text)


def holds(now: Any, then: Any) -> bool:
    """Whether everything that was said then is said now: objects may have more fields, and nothing else may differ."""
    if isinstance(then, dict) and isinstance(now, dict):
        return all(key in now and _same(key, now[key], value) for key, value in then.items())
    if isinstance(then, list) and isinstance(now, list):
        return len(now) == len(then) and all(map(holds, now, then))
    if isinstance(then, float) and isinstance(now, float):
        return abs(now - then) <= 1e-9 * max(1.0, abs(then))
    return bool(now == then)


def _same(key: str, now: Any, then: Any) -> bool:
    if key in SENTENCES:
        return figures_in(json.dumps(now)) == figures_in(json.dumps(then))
    return holds(now, then)


def questions(home: Path) -> Iterator[tuple[str, ...]]:
    """Every command that only reads, for this home."""
    yield ("routes", "show")
    yield ("routes", "history")
    yield ("audit", "show", "--last", "10000")
    yield ("feedback", "--dry-run")
    yield ("enforce", "--dry-run")
    yield (
        "loop",
        "--dry-run",
        "--baseline",
        "scripted/writer atomic native_api",
        "--baseline",
        "scripted/even atomic native_api",
    )
    yield ("loop", "--dry-run", "--gain", "5", "--power", "0.9", "--baseline", "scripted/chancy atomic native_api")
    config = json.loads((home / "routing_config.json").read_text("utf-8"))
    yield from (("audit", "trace", rule["rule_id"]) for rule in config["rules"])
    ledger = open_ledger(home / "ledger.sqlite3")
    decisions = [decision.decision_id for decision in ledger.read(records.Decision)]
    trials = [trial.trial_id for trial in ledger.read(records.Trial)]
    ledger.close()
    yield from (("decide", "--explain", decision_id) for decision_id in decisions)
    yield from (("show", trial_id) for trial_id in trials[:: max(1, len(trials) // 5)])


def answer(arguments: tuple[str, ...], root: Path) -> Any:
    """What a command says, without what is different each time it is asked, and without the bulk."""
    body = json.loads(json.dumps(said(*arguments)).replace(str(root), "PROJECT"))
    if arguments[0] == "feedback":
        body.pop("generated_at", None)
    if arguments[:2] == ("decide", "--explain"):
        body["gates_in_words"] = body.pop("gates")
    if arguments[:2] == ("audit", "trace"):
        for kind in ("recommendations", "findings", "decisions", "evaluations", "specs", "runs"):
            body[kind] = [_id_of(item) for item in body[kind]]
        body["trials"] = len(body["trials"])
    return body


def _id_of(item: Mapping[str, Any]) -> str:
    names = ("id", "finding_id", "decision_id", "evaluation_id", "run_id")
    return next((str(item[name]) for name in names if name in item), json.dumps(item, sort_keys=True))


def ledger_content(path: Path) -> dict[str, Any]:
    """Every record of the kinds that are few, by kind and id, as today's classes read it; of the others, how many there are."""
    ledger = open_ledger(path)
    found: dict[str, Any] = {}
    for record_type in vars(records).values():
        kind = getattr(record_type, "ledger_kind", "")
        if not kind or kind == "audit":
            continue
        every = list(ledger.read(record_type))
        if kind == "evaluation":
            found[kind] = {record.record_id: _evaluation(record) for record in every}
        elif kind in COUNTED:
            found[kind] = len(every)
        else:
            found[kind] = {record.record_id: record.model_dump(mode="json") for record in every}
        if kind == "verdict":
            found["outcomes"] = dict(Counter(record.outcome.value for record in every))
    ledger.close()
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


def _evaluation(record: records.Evaluation) -> dict[str, Any]:
    body = record.model_dump(mode="json", exclude={"rows", "run_ids"})
    return {**body, "letters": {row.prompt_id: row.letters for row in record.rows}}


def report_content(home: Path) -> dict[str, Any]:
    """What the reports say: the results whole, of the texts for people every number and id in order."""
    said("report")
    found: dict[str, Any] = {}
    for path in [*sorted((home / "reports").iterdir()), home / "meta_loop_history.json"]:
        text = path.read_text("utf-8")
        if path.suffix == ".json":
            found[path.name] = {k: v for k, v in json.loads(text).items() if k != "rendering"}
        elif path.suffix == ".md":
            # Reports did not begin with what may serve.
            text = re.sub(r"^## What may serve\n.*?(?=^## )", "", text, count=1, flags=re.MULTILINE | re.DOTALL)
            lines = text.split("\n", 3)[-1].replace(str(home.parent), "PROJECT").splitlines()
            # What was taken back is told since there is a command that lifts it.
            found[path.name] = figures_in("\n".join(line for line in lines if " is not tried again, because it " not in line))
    return found


def continued(home: Path) -> dict[str, Any]:
    """What the interrupted cycle comes to when it is continued: a race goes on from its blocks, without ids and times."""
    (cycle,) = said(
        "loop", "--baseline", "scripted/latest atomic native_api", "--candidates", str(home.parent / "candidates.json")
    )
    (target,) = cycle["targets"]
    names = ("variant", "changed", "accuracy", "call_accuracy", "restraint", "improvement", "verdict", "reason_codes")
    ledger = open_ledger(home / "ledger.sqlite3")
    end = list(ledger.read(records.RaceEnd))[-1].model_dump(mode="json")
    ledger.close()
    figures = ("log_e", "log_e_needed", "log_f", "n_pairs", "blocks", "trials", "estimate", "interval", "state")
    return {
        "number": cycle["number"],
        "trials": cycle["trials"],
        "winner": target["winner_variant"],
        "candidates": [{name: row[name] for name in names} for row in target["candidates"]],
        "race": [{name: standing[name] for name in figures} for standing in end["standings"]],
    }
