"""Candidates: the baseline with one thing changed, chosen by the proposers or by a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from selfopt.errors import UsageError, VariantError
from selfopt.home.plain_json import PlainJsonError, read_plain_json
from selfopt.home.plain_yaml import PlainYamlError, read_plain_yaml
from selfopt.records import Finding, Proposer, SearchSpace, Spec, Variant, WarmUp

from .proposers import PROPOSERS

_MAX_FILE_BYTES = 1_000_000
_MAX_CANDIDATES = 200
_LARGEST = 1e9

_FIELDS = ("context_size", "timeout_s", "connect_timeout_s", "retries", "isolate")


def with_change(spec: Spec, **changed: Any) -> Spec:
    """The spec with some fields changed; the result is validated."""
    return Spec.model_validate({name: getattr(spec, name) for name in Spec.model_fields} | changed)


def with_sampling(variant: Variant, name: str, value: float | int) -> Variant:
    """The variant with one sampling value changed, under a name that says so."""
    sampling = type(variant.sampling).model_validate(variant.sampling.model_dump() | {name: value})
    mark = f"+{name}="
    base = variant.name.split(mark)[0]
    return Variant.model_validate(variant.model_dump() | {"name": f"{base}{mark}{value:g}", "sampling": sampling})


def changes(baseline: Spec, candidate: Spec) -> tuple[str, ...]:
    """Every difference between two specs, in words; empty when both measure the same."""
    found = []
    if any(getattr(baseline, name) != getattr(candidate, name) for name in ("suite", "suite_hash", "split")):
        found.append("the content of the suite" if baseline.suite == candidate.suite else f"suite {candidate.suite}")
    if baseline.variant.variant_hash != candidate.variant.variant_hash:
        found.append(f"variant {baseline.variant.name} -> {candidate.variant.name}")
    found += [
        f"{name} {_shown(getattr(baseline, name))} -> {_shown(getattr(candidate, name))}"
        for name in _FIELDS
        if getattr(baseline, name) != getattr(candidate, name)
    ]
    if baseline.warm_up.enabled != candidate.warm_up.enabled:
        found.append(f"warm-up {'off -> on' if candidate.warm_up.enabled else 'on -> off'}")
    elif baseline.warm_up != candidate.warm_up:
        found.append("warm-up limits")
    if baseline.rendering != candidate.rendering and baseline.variant.variant_hash == candidate.variant.variant_hash:
        found.append("how tools are written and replies limited")
    return tuple(found)


def describe_change(baseline: Spec, candidate: Spec) -> str:
    """The differences in one line: `variant native_api -> restrained, timeout_s 60 -> 120`."""
    return ", ".join(changes(baseline, candidate)) or "nothing"


def _shown(value: float | bool | None) -> str:
    if value is None:
        return "default"
    return ("on" if value else "off") if isinstance(value, bool) else f"{value:g}"


_MOST_LOOKED_AT = 1_000


def propose(
    baseline: Spec,
    findings: Sequence[Finding],
    space: SearchSpace,
    limit: int,
    rendered: Callable[[Spec], Spec] = lambda spec: spec,
) -> list[Spec]:
    """At most `limit` candidates, taken from the registered proposers in turn.

    Each proposer gives its most promising candidate first, and at most a thousand are looked at.
    The baseline, repeats and specs that were tried before are passed over.

    rendered: gives a spec the version of the requests that it makes now.
    """
    passed_over = {baseline.spec_id, *space.tried}

    def fresh_of(proposer: Proposer) -> list[Spec]:
        looked_at = map(rendered, islice(proposer.propose(baseline, findings, space), _MOST_LOOKED_AT))
        return [spec for spec in looked_at if spec.spec_id not in passed_over]

    fresh = [specs for _, specs in PROPOSERS.ask(fresh_of, list[Spec]())]
    in_turn = (spec for turn in zip_longest(*fresh) for spec in turn if spec is not None)
    chosen: dict[str, Spec] = {}
    while len(chosen) < limit and (spec := next(in_turn, None)) is not None:
        chosen.setdefault(spec.spec_id, spec)
    return list(chosen.values())


def _brief(value: object) -> str:
    """A value as a message shows it. Containers are named by their type only."""
    if isinstance(value, int) and abs(value) >= _LARGEST:
        return "a very large number"
    if value is None or isinstance(value, str | int | float):
        return ascii(value)[:80]
    return f"a {type(value).__name__}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def _is_count(value: object) -> bool:
    return isinstance(value, int) and _is_number(value)


@dataclass(frozen=True, slots=True)
class _Key:
    """One key of a candidates file: what its value must be, and how it changes the baseline."""

    expects: str
    fits: Callable[[object], bool]
    apply: Callable[[Spec, Any], Spec]


def _field(name: str) -> Callable[[Spec, Any], Spec]:
    return lambda spec, value: with_change(spec, **{name: value})


def _sampling(name: str) -> Callable[[Spec, Any], Spec]:
    return lambda spec, value: with_change(spec, variant=with_sampling(spec.variant, name, value))


def _set_warm_up(spec: Spec, value: bool) -> Spec:
    return with_change(spec, warm_up=WarmUp.model_validate(spec.warm_up.model_dump() | {"enabled": value}))


_KEYS: Mapping[str, _Key] = {
    "timeout_s": _Key("seconds", _is_number, _field("timeout_s")),
    "connect_timeout_s": _Key("seconds", _is_number, _field("connect_timeout_s")),
    "retries": _Key("a whole number", _is_count, _field("retries")),
    "context_size": _Key("a whole number of tokens", _is_count, _field("context_size")),
    "isolate": _Key("true or false", lambda v: isinstance(v, bool), _field("isolate")),
    "warm_up": _Key("true or false", lambda v: isinstance(v, bool), _set_warm_up),
    "max_tokens": _Key("a whole number", _is_count, _sampling("max_tokens")),
    "thinking_tokens": _Key("a whole number", _is_count, _sampling("thinking_tokens")),
    "temperature": _Key("a number", _is_number, _sampling("temperature")),
}


def load_candidates(path: Path, baseline: Spec, variants: Mapping[str, Variant], *, pass_over: bool = False) -> list[Spec]:
    """Read candidates from a YAML or JSON file: a list of mappings with one key each.

    The keys are `variant` (a name in the catalogue), timeout_s, connect_timeout_s, retries,
    context_size, isolate, warm_up, max_tokens, thinking_tokens and temperature.

    Args:
        path: the file.
        baseline: the spec that is changed.
        variants: the catalogue.
        pass_over: leave out an entry that changes nothing, since the baseline of a later cycle is
            often one of the candidates. Otherwise such an entry is an error.

    Raises:
        UsageError: the file cannot be read, or an entry is wrong, repeats another or changes
            nothing. It names the file, the entry and what is allowed.
        VariantError: the catalogue has no such variant.
    """
    chosen: dict[str, Spec] = {}
    for number, entry in enumerate(_read_list(path), start=1):
        where = f"{path}, candidate {number}"
        spec = _candidate(where, entry, baseline, variants)
        if spec.spec_id == baseline.spec_id:
            if pass_over:
                continue
            raise UsageError(f"{where} changes nothing: the baseline {baseline.label} has this already; remove it")
        if spec.spec_id in chosen:
            raise UsageError(f"{where} repeats an earlier candidate ({describe_change(baseline, spec)}); remove one of them")
        chosen[spec.spec_id] = spec
    return list(chosen.values())


def _read_list(path: Path) -> list[object]:
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"candidates file {path} cannot be read: {error.strerror}; name a readable YAML or JSON file") from error
    if len(raw) > _MAX_FILE_BYTES:
        raise UsageError(f"candidates file {path} is larger than {_MAX_FILE_BYTES} bytes; it should be a short list")
    try:
        text = raw.decode("utf-8")
        body = read_plain_json(text) if path.suffix == ".json" else read_plain_yaml(text)
    except UnicodeDecodeError as error:
        raise UsageError(f"candidates file {path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except (PlainJsonError, PlainYamlError) as error:
        raise UsageError(f"candidates file {path}: {ascii(str(error)[:200])[1:-1]}") from None
    if not isinstance(body, list) or not 1 <= len(body) <= _MAX_CANDIDATES:
        raise UsageError(
            f"candidates file {path} must be a list of 1 to {_MAX_CANDIDATES} entries such as `- variant: restrained`"
        )
    return body


def _candidate(where: str, entry: object, baseline: Spec, variants: Mapping[str, Variant]) -> Spec:
    allowed = ", ".join(["variant", *_KEYS])
    if not isinstance(entry, dict) or len(entry) != 1:
        got = ", ".join(_brief(key) for key in list(entry)[:10]) if isinstance(entry, dict) else type(entry).__name__
        raise UsageError(f"{where} must change exactly one thing, got {got or 'nothing'}: give one key of {allowed}")
    key, value = next(iter(entry.items()))
    if key == "variant":
        if not isinstance(value, str) or value not in variants:
            raise VariantError(f"{where}: unknown variant {_brief(value)}; known: {', '.join(variants)}")
        return with_change(baseline, variant=variants[value])
    rule = _KEYS.get(key) if isinstance(key, str) else None
    if rule is None:
        raise UsageError(f"{where}: unknown key {_brief(key)}; allowed: {allowed}")
    if not rule.fits(value):
        raise UsageError(f"{where}: {key} must be {rule.expects}, got {_brief(value)}")
    try:
        return rule.apply(baseline, value)
    except ValidationError as error:
        reason = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise UsageError(f"{where}: {key} {_brief(value)} is not possible: {reason}") from error
