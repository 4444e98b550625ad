"""What a check file names, found in this home: the suite, the specs, the recorded state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfopt.errors import ConsentError, UnknownModelError, UsageError
from selfopt.home import counted, escape_control
from selfopt.measure.arena import judged_by
from selfopt.policy import LEAST_RUNS
from selfopt.records import Prompt, RecordedState, Spec, Suite, Variant
from selfopt.wiring.app import App

from .check_file import DEFAULT_FILE, CheckFile, EarlierChoice, read_check_file
from .check_state import read_state


@dataclass(frozen=True, slots=True)
class CheckSubject:
    """What is checked, and against what.

    Attributes:
        shown: the check file as it was named.
        prompts: those of the split, in suite order.
        must_pass: the ids of the prompts that must pass.
        rule_id: of the rule that the variant is taken from.
        before: the earlier configuration, where it still exists and differs from the present one.
        state: the recorded state, if one is named.
    """

    file: CheckFile
    shown: str
    suite: Suite
    prompts: Sequence[Prompt]
    must_pass: tuple[str, ...]
    now: Spec
    rule_id: str | None
    before: Spec | None
    state: RecordedState | None


def subject_of(app: App, path: Path, *, recording: bool = False) -> CheckSubject:
    """Read a check file and find what it names.

    Args:
        recording: the baseline is not looked at: it may be what is about to be written.

    Raises:
        UsageError: something of it cannot be used. The message names the file and the key.
    """
    file, shown = read_check_file(path), escape_control(str(path), 300)
    suite_name = _beside(path, file.suite) if _is_path(file.suite) else file.suite
    suite = app.suite(suite_name)
    model = _named(app, shown, "model", file.model)
    rule_id, variant, options = _chosen(app, shown, file, model, suite)
    options |= {"suite": suite_name, "split": file.split}
    now = app.spec(model, suite.phase, variant, options)
    prompts = suite.select(now.split)
    must_pass = _must_pass(file, shown, prompts)
    _require_members(file, shown, prompts)
    before, state = None, None
    if file.baseline is not None and not recording:
        if file.baseline.state is not None:
            named = _beside(path, file.baseline.state)
            again = f"selfopt check {'' if shown == DEFAULT_FILE else f'{shown} '}--record {escape_control(named, 300)}"
            state = read_state(Path(named), again)
            _require_same(state, now, suite, prompts, escape_control(file.baseline.state, 300), again)
            before = _still_there(app, state, now, options) if file.baseline.ask_again else None
        else:
            before = _earlier(app, shown, file.baseline, now, options)
    return CheckSubject(file, shown, suite, prompts, must_pass, now, rule_id, before, state)


def _is_path(name: str) -> bool:
    return "/" in name or name.endswith((".yaml", ".yml", ".json"))


def _beside(path: Path, name: str) -> str:
    """A path that a check file names is relative to its folder."""
    try:
        named = Path(name).expanduser()
    except RuntimeError:
        raise UsageError(f"{escape_control(name, 300)}: no such user; write the whole path") from None
    return str(named if named.is_absolute() else path.parent / named)


def _named(app: App, shown: str, key: str, name: str) -> str:
    try:
        return app.resolve_model(name)
    except UnknownModelError as error:
        raise UsageError(f"{shown}: {key}: {error}") from None


def _chosen(app: App, shown: str, file: CheckFile, model: str, suite: Suite) -> tuple[str | None, str | Variant, dict[str, Any]]:
    """The rule, the variant and the limits that are checked."""
    if not file.rule:
        return None, file.variant or "native_api", {}
    rule = app.enforcer.load(repair_pending=False).rule_for(model, suite.phase, app.settings.one_name)
    if rule is None or rule.variant is None or not rule.allow:
        why = "there is none" if rule is None else "it promotes no variant" if rule.allow else "it does not allow the model"
        raise UsageError(
            f"{shown}: rule: true asks for the rule in force for {model} {suite.phase}, and {why}; name a variant, or see: selfopt routes show"
        )
    options: dict[str, Any] = {name: getattr(rule.limits, name) for name in ("timeout_s", "retries", "isolate", "context_size")}
    return rule.rule_id, rule.variant, {**options, "warm_up": rule.warm_up}


def _must_pass(file: CheckFile, shown: str, prompts: Sequence[Prompt]) -> tuple[str, ...]:
    if isinstance(file.must_pass, bool):
        return tuple(prompt.id for prompt in prompts) if file.must_pass else ()
    known = {prompt.id for prompt in prompts}
    for name in file.must_pass:
        if name not in known:
            few = ", ".join([prompt.id for prompt in prompts[:5]])
            raise UsageError(f"{shown}: must_pass: no prompt {escape_control(name, 100)!r} in this split; there are {few} ...")
    return tuple(dict.fromkeys(file.must_pass))


def _require_members(file: CheckFile, shown: str, prompts: Sequence[Prompt]) -> None:
    for key, least, wanted in (
        ("min_call_accuracy", file.min_call_accuracy, True),
        ("min_restraint", file.min_restraint, False),
    ):
        if least is not None and not any(prompt.needs_call is wanted for prompt in prompts):
            raise UsageError(f"{shown}: {key}: no prompt of this split needs {'a' if wanted else 'no'} call; leave it out")


def _require_same(state: RecordedState, now: Spec, suite: Suite, prompts: Sequence[Prompt], shown: str, command: str) -> None:
    """Refuse a state of something else: its outcomes would say nothing about this."""
    again = f"record it again: {command}"
    pairs = [
        ("suite", state.suite, suite.name),
        ("content of the suite", state.suite_hash, suite.content_id()),
        ("scorer", state.scorer_hash, judged_by(suite)),
        ("split", state.split, now.split),
    ]
    for what, theirs, ours in pairs:
        if theirs != ours:
            raise UsageError(
                f"baseline {shown} is of another {what}: {escape_control(theirs, 80)}, this check has {ours}; {again}"
            )
    rows = {row.prompt_id: len(row.outcomes) for row in state.rows}
    if rows.keys() != {prompt.id for prompt in prompts}:
        raise UsageError(f"baseline {shown} is damaged: it has {counted(len(rows), 'prompt')}, not those of the suite; {again}")
    if not state.exact and min(rows.values()) < LEAST_RUNS:
        name = min(rows, key=lambda one: rows[one])
        raise UsageError(
            f"baseline {shown} has {counted(rows[name], 'run')} of prompt {escape_control(name, 80)}, at least {LEAST_RUNS} are needed; {again}"
        )


def _still_there(app: App, state: RecordedState, now: Spec, options: dict[str, Any]) -> Spec | None:
    """The configuration of a state, if it can be asked again and is not the present one."""
    model = app.known_model(state.model)
    if model is None:
        return None
    try:
        made = app.spec(model, now.phase, state.variant, {**options, "suite": options["suite"]})
        app.sender.require(now.model, made.model)
    except (UsageError, ConsentError):  # its runs stand for what may not, or can't, be asked
        return None
    # Asking for the same again would compare the present with itself.
    return made if made.spec_id == state.spec_id and made.spec_id != now.spec_id else None


def _earlier(app: App, shown: str, choice: EarlierChoice, now: Spec, options: dict[str, Any]) -> Spec:
    model = now.model if choice.model is None else _named(app, shown, "baseline.model", choice.model)
    variant: str | Variant = now.variant if choice.variant is None else choice.variant
    made = app.spec(model, now.phase, variant, options)
    if made.spec_id == now.spec_id:
        raise UsageError(
            f"{shown}: baseline is the very configuration that is checked ({now.label}); name another model or variant, or a recorded state"
        )
    return made
