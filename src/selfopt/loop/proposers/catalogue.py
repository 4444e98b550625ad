"""Proposes variants of the catalogue and a few limits, in an order that the findings suggest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from selfopt.errors import LASTING, Cause
from selfopt.loop.candidates import with_change, with_sampling
from selfopt.records import (
    CapabilityLimitFigures,
    ColdFailuresFigures,
    Finding,
    InfrastructureFigures,
    RefusedFigures,
    SearchSpace,
    Spec,
    TruncationFigures,
    Variant,
    WarmUp,
)

_MAX_TOKENS = 32_768
_MAX_TIMEOUT_S = 600.0

# Variants by what they help against, best first. "{phase}" is the variant written for that phase.
_READS_FORMATS = ("native_parsed", "restrained", "few_shot_constrained", "fitted", "gated", "constrained", "few_shot", "{phase}")
_MAKES_CALLS = ("few_shot_constrained", "constrained", "restrained", "{phase}", "few_shot", "fitted", "gated", "native_parsed")
_HOLDS_BACK = ("restrained", "few_shot_constrained", "constrained", "gated", "{phase}", "few_shot", "fitted", "native_parsed")
_HITS_EVERY_VARIANT: frozenset[Cause] = frozenset({"memory", "payment", "unknown_model"})
_MAY_PASS: frozenset[Cause] = frozenset({"rate", "not_loaded"})
_NEEDS_TEXT: frozenset[Cause] = frozenset({"no_tools", "tools_off"})
_PHASE_VARIANTS = frozenset({"atomic", "extended"})
_REPAIRS = ("fit", "ground")
_VERSION, _CHAIN = "@2", "all@2"  # of the variants that are proposed now, and the chain that they read by


class CatalogueProposer:
    """Proposes variants by what they help against.

    Of each it takes the newest version. The baseline with its replies read by the newest chain costs
    no request, so that comes before all of them. Variants that it does not know come last, in the
    catalogue's order.
    """

    def propose(self, baseline: Spec, findings: Sequence[Finding], space: SearchSpace) -> Iterator[Spec]:
        """See `selfopt.records.Proposer`.

        At a ceiling it proposes only timeout and retries, since no variant can do better. Where the
        server refuses most requests for a cause that lasts, it proposes no limits, and nothing at all
        where no variant would be served.
        """
        kinds, mostly = {f.type for f in findings}, _causes(findings, at_least=0.5)
        if mostly & LASTING:
            yield from () if mostly & _HITS_EVERY_VARIANT else _variants(baseline, findings, space)
            return
        if "ceiling" in kinds:
            yield from _limits(baseline)
            return
        if any(isinstance(f.figures, ColdFailuresFigures) for f in findings):
            yield from _warm(baseline, space)
        # A model that calls nothing, or in an unread format, gains nothing from a longer reply.
        other_cause = "unread_format" in kinds or _mute(findings)
        if "truncation" in kinds and not other_cause:
            yield from _more_tokens(baseline)
        if "infrastructure" in kinds or _causes(findings) & _MAY_PASS:
            yield from _limits(baseline, findings)
        if kinds - {"refused"}:
            yield from _read_anew(baseline, space)
        yield from _variants(baseline, findings, space)
        if "truncation" in kinds and other_cause:
            yield from _more_tokens(baseline)
        if "flaky" in kinds:
            yield from _steadier(baseline)
        # Equal outcomes never promote, so a cold start that costs only time comes late; its recommendation deals with it.
        if "cold_start" in kinds:
            yield from _warm(baseline, space)
        yield from _limits(baseline)


def _warm(baseline: Spec, space: SearchSpace) -> Iterator[Spec]:
    if space.warm_up and not baseline.warm_up.enabled:
        yield with_change(baseline, warm_up=WarmUp.model_validate(baseline.warm_up.model_dump() | {"enabled": True}))


def _more_tokens(baseline: Spec) -> Iterator[Spec]:
    for factor in (2, 4):
        budget = min(_MAX_TOKENS, baseline.variant.sampling.max_tokens * factor)
        yield with_change(baseline, variant=with_sampling(baseline.variant, "max_tokens", budget))


def _steadier(baseline: Spec) -> Iterator[Spec]:
    if not baseline.isolate:
        yield with_change(baseline, isolate=True)
    if baseline.variant.sampling.temperature > 0:
        yield with_change(baseline, variant=with_sampling(baseline.variant, "temperature", 0.0))


def _limits(baseline: Spec, findings: Sequence[Finding] = ()) -> Iterator[Spec]:
    longer = with_change(baseline, timeout_s=min(_MAX_TIMEOUT_S, max(baseline.timeout_s, baseline.timeout_s * 2)))
    again = with_change(baseline, retries=min(20, baseline.retries + 2))
    seen = [f.figures for f in findings if isinstance(f.figures, InfrastructureFigures)]
    mostly_errors = sum(f.errors for f in seen) > sum(f.timeouts for f in seen)
    yield from (again, longer) if mostly_errors else (longer, again)


def _variants(baseline: Spec, findings: Sequence[Finding], space: SearchSpace) -> Iterator[Spec]:
    families = [name.format(phase=baseline.phase) for name in _order(findings)]
    newest = [_newest(name, space) for name in (*families, "native_api")]
    ours = {name for family in (*families, *_PHASE_VARIANTS, "native_api") for name in (family, f"{family}{_VERSION}")}
    others = [name for name in space.variants if name not in ours]
    names = [name for name in (*newest[:-1], *others, newest[-1]) if name in space.variants]
    causes = _causes(findings)
    text_only = space.text_only or bool(causes & _NEEDS_TEXT) or "not_parsed" in _causes(findings, at_least=1.0)
    for name in sorted(names, key=lambda name: _in_the_way(space.variants[name], causes)):
        variant = space.variants[name]
        if variant.tools == "system_prompt" or not text_only:
            yield with_change(baseline, variant=variant)


def _causes(findings: Sequence[Finding], *, at_least: float = 0.0) -> frozenset[Cause]:
    """Why the server refused at least this share of the trials."""
    seen = (f.figures for f in findings if isinstance(f.figures, RefusedFigures))
    return frozenset(figures.cause for figures in seen if figures.share >= at_least)


def _in_the_way(variant: Variant, causes: frozenset[Cause]) -> bool:
    """Whether a variant keeps what the server stumbled over, so that it comes after the others."""
    native = "not_parsed" in causes and variant.tools == "native"
    return native or ("roles" in causes and variant.history == "native")


def _newest(name: str, space: SearchSpace) -> str:
    return f"{name}{_VERSION}" if f"{name}{_VERSION}" in space.variants else name


def _read_anew(baseline: Spec, space: SearchSpace) -> Iterator[Spec]:
    """The baseline with its replies read by the newest chain, where the catalogue has variants that
    are read so.
    """
    variant = baseline.variant
    if _CHAIN in variant.parsers or not any(_CHAIN in known.parsers for known in space.variants.values()):
        return
    repairs = tuple(f"fit{_VERSION}" if name == "fit" else name for name in variant.parsers if name.partition("@")[0] in _REPAIRS)
    yield with_change(baseline, variant=variant.read_by((_CHAIN, *repairs), space.variants.values()))


def _mute(findings: Sequence[Finding]) -> bool:
    """Whether replies were cut off without a single right call."""
    return any(isinstance(f.figures, TruncationFigures) and f.figures.calls_right == 0 for f in findings)


def _order(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Which variants to try first.

    An unread format is the surest cause, then silence, then calling too much.
    """
    if _causes(findings, at_least=0.5):
        return _MAKES_CALLS
    if any(f.type == "unread_format" for f in findings):
        return _READS_FORMATS
    if _mute(findings):
        return _MAKES_CALLS
    for limit in (f.figures for f in findings):
        if isinstance(limit, CapabilityLimitFigures):
            return _MAKES_CALLS if limit.missed_share >= limit.uncalled_for_share + limit.wrong_share else _HOLDS_BACK
    return _HOLDS_BACK


PROPOSER = CatalogueProposer()
