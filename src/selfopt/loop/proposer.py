"""What to try next: the baseline with one thing changed, most promising first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from selfopt.errors import UsageError, VariantError
from selfopt.home.plain_json import PlainJsonError, read_plain_json
from selfopt.home.plain_yaml import PlainYamlError, read_plain_yaml
from selfopt.records import Finding, Spec, Variant, WarmUp

__all__ = ["CatalogueProposer", "changes", "describe_change", "load_candidates"]

_MAX_FILE_BYTES = 1_000_000
_MAX_CANDIDATES = 200
_MAX_TOKENS = 32_768
_MAX_TIMEOUT_S = 600.0
_LARGEST = 1e9

# Variants by what they help against, best first. "{phase}" is the variant written for that phase.
_READS_FORMATS = ("native_parsed", "restrained", "few_shot_constrained", "fitted", "gated", "constrained", "few_shot", "{phase}")
_MAKES_CALLS = ("few_shot_constrained", "constrained", "restrained", "{phase}", "few_shot", "fitted", "gated", "native_parsed")
_HOLDS_BACK = ("restrained", "few_shot_constrained", "constrained", "gated", "{phase}", "few_shot", "fitted", "native_parsed")
_PHASE_VARIANTS = frozenset({"atomic", "extended"})
_FIELDS = ("context_size", "timeout_s", "connect_timeout_s", "retries", "isolate")


def _with(spec: Spec, **changed: Any) -> Spec:
    """The spec with validated changes."""
    return Spec.model_validate({name: getattr(spec, name) for name in Spec.model_fields} | changed)


def _sampled(variant: Variant, name: str, value: float | int) -> Variant:
    """The variant with one sampling value changed; its name says so."""
    sampling = type(variant.sampling).model_validate(variant.sampling.model_dump() | {name: value})
    mark = f"+{name}="
    base = variant.name.split(mark)[0]
    return Variant.model_validate(variant.model_dump() | {"name": f"{base}{mark}{value:g}", "sampling": sampling})


def changes(baseline: Spec, candidate: Spec) -> tuple[str, ...]:
    """Everything in which two specs differ, each in words; empty when they measure the same."""
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
    return tuple(found)


def describe_change(baseline: Spec, candidate: Spec) -> str:
    """What was changed, in words: `variant native_api -> restrained`, `timeout_s 60 -> 120`."""
    return ", ".join(changes(baseline, candidate)) or "nothing"


def _shown(value: float | bool | None) -> str:
    if value is None:
        return "default"
    return ("on" if value else "off") if isinstance(value, bool) else f"{value:g}"


@dataclass(frozen=True, slots=True)
class CatalogueProposer:
    """Proposes from a catalogue of variants and a few limits.

    variants: by name; those with a name it does not know come last, in the catalogue's order. warm_up: whether warm-up may be
    proposed at all.
    """

    variants: Mapping[str, Variant]
    warm_up: bool = True

    def propose(
        self, baseline: Spec, findings: Sequence[Finding], limit: int, *, exclude: Collection[str] = frozenset()
    ) -> Sequence[Spec]:
        """At most `limit` candidates, each the baseline with one thing changed, most promising first.

        exclude: spec ids that were measured against this baseline already and not promoted. At a ceiling only other limits
        (timeout, retries) are proposed: no variant can do better.
        """
        chosen: dict[str, Spec] = {}
        for spec in self._ideas(baseline, findings):
            if len(chosen) >= limit:
                break
            if spec.spec_id != baseline.spec_id and spec.spec_id not in exclude:
                chosen.setdefault(spec.spec_id, spec)
        return list(chosen.values())

    def _ideas(self, baseline: Spec, findings: Sequence[Finding]) -> Iterator[Spec]:
        kinds = {f.type for f in findings}
        if "ceiling" in kinds:
            yield from self._limits(baseline)
            return
        if any(f.type == "cold_start" and f.figures.get("case") != "latency" for f in findings):
            yield from self._warm(baseline)
        # Who calls nothing, or in a format that is not read, gains nothing from a longer text.
        other_cause = "unread_format" in kinds or _mute(findings)
        if "truncation" in kinds and not other_cause:
            yield from self._more_tokens(baseline)
        if "infrastructure" in kinds:
            yield from self._limits(baseline, findings)
        yield from self._variants(baseline, findings)
        if "truncation" in kinds and other_cause:
            yield from self._more_tokens(baseline)
        if "flaky" in kinds:
            yield from self._steadier(baseline)
        # Equal outcomes never promote, so a cold start that costs time only is left to its recommendation until the end.
        if "cold_start" in kinds:
            yield from self._warm(baseline)
        yield from self._limits(baseline)

    def _warm(self, baseline: Spec) -> Iterator[Spec]:
        if self.warm_up and not baseline.warm_up.enabled:
            yield _with(baseline, warm_up=WarmUp.model_validate(baseline.warm_up.model_dump() | {"enabled": True}))

    def _more_tokens(self, baseline: Spec) -> Iterator[Spec]:
        for factor in (2, 4):
            budget = min(_MAX_TOKENS, baseline.variant.sampling.max_tokens * factor)
            yield _with(baseline, variant=_sampled(baseline.variant, "max_tokens", budget))

    def _steadier(self, baseline: Spec) -> Iterator[Spec]:
        if not baseline.isolate:
            yield _with(baseline, isolate=True)
        if baseline.variant.sampling.temperature > 0:
            yield _with(baseline, variant=_sampled(baseline.variant, "temperature", 0.0))

    def _limits(self, baseline: Spec, findings: Sequence[Finding] = ()) -> Iterator[Spec]:
        longer = [_with(baseline, timeout_s=min(_MAX_TIMEOUT_S, max(baseline.timeout_s, baseline.timeout_s * 2)))]
        again = [_with(baseline, retries=min(20, baseline.retries + 2))]
        timeouts = sum(_figure(f, "timeouts") for f in findings)
        errors = sum(_figure(f, "errors") for f in findings)
        yield from (again + longer if errors > timeouts else longer + again)

    def _variants(self, baseline: Spec, findings: Sequence[Finding]) -> Iterator[Spec]:
        known = [name.format(phase=baseline.phase) for name in _order(findings)]
        others = [n for n in self.variants if n not in known and n not in _PHASE_VARIANTS and n != "native_api"]
        for name in [*known, *others, "native_api"]:
            if name in self.variants:
                yield _with(baseline, variant=self.variants[name])


def _figure(finding: Finding, name: str) -> float:
    value = finding.figures.get(name, 0.0)
    return 0.0 if isinstance(value, str) else float(value)


def _mute(findings: Sequence[Finding]) -> bool:
    """Whether replies were cut off without a single right call."""
    return any(f.type == "truncation" and f.figures.get("calls_right") == 0 for f in findings)


def _order(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Which variants to try first: the format is the surest cause, then silence, then calling too much."""
    if any(f.type == "unread_format" for f in findings):
        return _READS_FORMATS
    if _mute(findings):
        return _MAKES_CALLS
    for finding in findings:
        if finding.type == "capability_limit":
            held_back = _figure(finding, "missed_share")
            too_much = _figure(finding, "uncalled_for_share") + _figure(finding, "wrong_share")
            return _MAKES_CALLS if held_back >= too_much else _HOLDS_BACK
    return _HOLDS_BACK


def _brief(value: object) -> str:
    """A value for a message. Containers are named, not shown."""
    if isinstance(value, int) and abs(value) >= _LARGEST:
        return "a very large number"
    if value is None or isinstance(value, str | int | float):
        return ascii(value)[:80]
    return f"a {type(value).__name__}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST


@dataclass(frozen=True, slots=True)
class _Key:
    """One key of a candidates file: what its value must be, and what it makes of the baseline."""

    expects: str
    fits: Callable[[object], bool]
    apply: Callable[[Spec, Any], Spec]


def _field(name: str) -> Callable[[Spec, Any], Spec]:
    return lambda spec, value: _with(spec, **{name: value})


def _sampling(name: str) -> Callable[[Spec, Any], Spec]:
    return lambda spec, value: _with(spec, variant=_sampled(spec.variant, name, value))


def _set_warm_up(spec: Spec, value: bool) -> Spec:
    return _with(spec, warm_up=WarmUp.model_validate(spec.warm_up.model_dump() | {"enabled": value}))


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
    """The candidates of a YAML or JSON file: a list of mappings, each with exactly one key and so one change.

    Keys: `variant` (a name of the catalogue), timeout_s, connect_timeout_s, retries, context_size, isolate, warm_up,
    max_tokens, thinking_tokens, temperature. UsageError (VariantError for an unknown variant) names the file, the entry and what is allowed;
    so does an entry that repeats another or changes nothing; with pass_over, one that changes nothing is left out (the baseline
    of a later cycle is often one of the candidates).
    """
    entries = _read_list(path)
    chosen: dict[str, Spec] = {}
    for number, entry in enumerate(entries, start=1):
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
        raise UsageError(f"candidates file {path} is no UTF-8 (byte {error.start}); save it as UTF-8") from None
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
        return _with(baseline, variant=variants[value])
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
