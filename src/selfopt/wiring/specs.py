"""Makes specs from the settings and what a caller chose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from selfopt.errors import UsageError
from selfopt.records import Phase, Spec, Split, Variant
from selfopt.variants import options_of
from selfopt.variants.options import require_embedding
from selfopt.variants.rendering import as_rendered

from .ready import require_logprobs

if TYPE_CHECKING:
    from .app import App


def spec_of(app: App, model: str, phase: Phase, variant: str | Variant, options: Mapping[str, Any]) -> Spec:
    """Make a spec; see `App.spec`."""
    chosen = {k: v for k, v in options.items() if v is not None}
    limits = app.settings.limits
    suite = app.suite(str(chosen.get("suite", app.settings.suite_of(phase))))
    provider, entry = app.settings.endpoint_of(model)
    split: Split = chosen.get("split", "all" if suite.scope == "whole" else "search")
    if suite.phase != phase:
        raise UsageError(f"suite {suite.name} is of phase {suite.phase}, not {phase}; name a suite of {phase}, or that phase")
    if not suite.select(split):
        raise UsageError(
            f"suite {suite.name} has no prompt in split {split!r}, only in {', '.join(sorted({p.split for p in suite.prompts}))}; "
            "run and supervise can take another by --split, the loop searches on split search: give some prompts that split, "
            "or the suite scope: whole"
        )
    fitted = app.fitting(app.variant(variant) if isinstance(variant, str) else variant, provider)
    require_logprobs(app.settings, fitted, provider)
    if options_of(fitted).embeds:
        require_embedding(fitted, app.settings.embedding)
    try:
        made = Spec(
            endpoint=provider,
            model=model,
            phase=phase,
            suite=suite.name,
            suite_hash=suite.content_id(),
            split=split,
            variant=fitted,
            context_size=chosen.get("context_size", app.settings.engine.context_size if entry.traits.engine else None),
            timeout_s=chosen.get("timeout_s", limits.timeout_s),
            connect_timeout_s=limits.connect_timeout_s,
            retries=chosen.get("retries", limits.retries),
            isolate=chosen.get("isolate", False),
            warm_up=app.settings.warm_up_policy(bool(chosen.get("warm_up", app.settings.warm_up.default))),
            omit=entry.omit,
            extra_body=entry.extra_body,
        )
        return as_rendered(made, suite)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}, got {first['input']!r}") from None
