"""`check --new`: a commented check file to begin with, which fits the models and suites that are at hand."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from selfopt.errors import SelfoptError, SuiteError, UsageError
from selfopt.home import atomic_write_text, escape_control
from selfopt.records import Evaluation, Suite
from selfopt.suites import list_suites
from selfopt.variants import load_variants
from selfopt.wiring.app import App

from .check_file import DEFAULT_FILE, parse_check_file

_EXAMPLE = "ollama/qwen2.5:3b"
_WAIT_S = 3.0
_PLAIN = re.compile(r"[A-Za-z_][\w./@-]*(?::[\w./@-]+)*")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})

_TEXT = """\
# What a build has to show, read by:  selfopt check{argument}
# docs/CHECK.md explains every key, and docs/CI.md puts the check into a build.
suite: {suite}{others}
model: {model}{model_note}
variant: {variant}{variant_note}
# rule: true              # instead of variant: that of the rule in force, with its limits and warm-up

# Thresholds. A figure fails once it is shown to be below.
min_accuracy: {accuracy}{accuracy_note}
# min_restraint: 0.9      # prompts that need no call and get none
must_pass: [{must_pass}]

# No worse than before. Compare with what still exists, such as the prompt that is in use now ...
# baseline: {{variant: old}}
# ... or with a file. Write it, put it into git, and take the # away:  selfopt check{argument} --record state.json
# baseline: state.json
# max_regression: 0.05    # the loss of accuracy that has to be ruled out

# Caps. A check that one of them ends is undecided.
max_trials: 4000
max_time: 30m
# max_cost: 2             # needs prices (docs/PRICES.md)
# on_undecided: fail      # or pass
"""


@dataclass(frozen=True, slots=True)
class MadeCheckFile:
    """A check file that was written.

    Attributes:
        model_found: False where no model is at hand, so that an example stands there.
    """

    path: Path
    suite: str
    model: str
    variant: str
    model_found: bool


async def new_check_file(app: App, path: Path) -> MadeCheckFile:
    """Write a valid check file with comments. Never replaces anything.

    The suite is one of the user's own where there is one, and the model one that was measured or that a server has.

    Raises:
        UsageError: the file is there already, or is no YAML file.
        StoreError: it cannot be written.
    """
    shown = escape_control(str(path), 300)
    if path.suffix not in (".yaml", ".yml"):
        raise UsageError(f"{shown}: a check file is YAML with comments; give the path of a .yaml file")
    suites = list(_suites(app, path))
    evaluation = _newest(app)
    model = await _model(app, evaluation)
    named, suite = suites[0] if suites else ("atomic", app.suite("atomic"))
    variant = _variant(app)
    found = model is not None
    text = _text(path, suite, named, [name for name, _ in suites[1:6]], model or _EXAMPLE, variant, found=found)
    parse_check_file(text, shown)
    try:
        atomic_write_text(path, text, replace=False, mode=0o644)
    except FileExistsError:
        raise UsageError(f"{shown} is there already and stays as it is; name another file") from None
    return MadeCheckFile(path, named, model or _EXAMPLE, variant, found)


def _text(path: Path, suite: Suite, named: str, others: list[str], model: str, variant: str, *, found: bool) -> str:
    calls = [prompt.id for prompt in suite.prompts if prompt.needs_call] or [prompt.id for prompt in suite.prompts]
    own = variant != "native_api"
    return _TEXT.format(
        argument="" if str(path) == DEFAULT_FILE else f" {_comment(str(path))}",
        suite=_scalar(named),
        others=f"   # or: {_comment(', '.join(others))}" if others else "",
        model=_scalar(model),
        model_note="" if found else "   # no model was found: name yours (docs/CI.md: one behind vLLM)",
        variant=_scalar(variant),
        variant_note="   # of the file that the setting `variants` names"
        if own
        else "     # a prompt of your own is a variant with `instructions` (docs/VARIANTS.md)",
        accuracy="0.8",
        accuracy_note="         # of all prompts",
        must_pass=", ".join(map(_scalar, calls[:2])),
    )


def _suites(app: App, path: Path) -> Iterator[tuple[str, Suite]]:
    """The user's own suites: files in a folder `suites` beside the check file, and those of the home."""
    folder = path.parent / "suites"
    beside = sorted(one for one in folder.glob("*.yaml") if one.is_file()) if folder.is_dir() else []
    for file in beside[:20]:
        with suppress(SuiteError):
            yield f"suites/{file.name}", app.suite(str(file))
    built_in = list_suites()
    for name in list_suites(app.home.suites):
        if name not in built_in:
            with suppress(SuiteError):
                yield name, app.suite(name)


def _newest(app: App) -> Evaluation | None:
    return next(iter(app.ledger.read(Evaluation, newest_first=True, limit=1)), None) if app.has_ledger else None


async def _model(app: App, evaluation: Evaluation | None) -> str | None:
    """One that was measured last, has an alias of the user's own, is pulled, or is at a server of this machine; None without any."""
    if evaluation is not None and app.known_model(evaluation.model) is not None:
        return evaluation.model
    defaults = type(app.settings)().models.aliases
    for alias, named in app.settings.models.aliases.items():
        if defaults.get(alias) != named:
            with suppress(SelfoptError):
                return app.resolve_model(alias)
    for model in app.store.installed():
        if app.known_model(model.name) is not None:
            return model.name
    for name, entry in app.settings.endpoints.items():
        if entry.is_local and not entry.traits.engine:
            with suppress(SelfoptError, TimeoutError):
                async with asyncio.timeout(_WAIT_S):
                    installed = await app.sender.installed(name)
                if installed:
                    return f"{name}/{installed[0]}"
    return None


def _variant(app: App) -> str:
    """The first variant of the user's own file; else the server's own interface of tools."""
    catalogue = load_variants()
    return next((name for name in app.variants if name not in catalogue), "native_api")


def _scalar(text: str) -> str:
    """A text in YAML, plain where that means the same."""
    return text if _PLAIN.fullmatch(text) and text.casefold() not in _WORDS else json.dumps(text, ensure_ascii=True)


def _comment(text: str) -> str:
    return escape_control(text, 300)
