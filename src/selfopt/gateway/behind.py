"""What of a client's request goes through a variant, what the variant keeps, and what goes past it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from selfopt.dialects.carrying import LIMIT_KEYS, THINKING_KEYS, says_nothing, wants_thinking
from selfopt.dialects.clients import ClientRequest, PassReason
from selfopt.dialects.openai_client import NAME
from selfopt.reading.chain import without_threshold
from selfopt.records import Sampling, Variant, remembered
from selfopt.variants import RenderedStep, rests_on_logprobs

from .seams import Upstream

# What these ask for would have to stand in the answer, and an answer that is read anew cannot hold it.
_MORE_TO_ANSWER = (
    "modalities audio web_search_options functions function_call echo return_tokens return_token_ids kv_transfer_params "
    "return_tokens_as_token_ids timings_per_token return_progress post_sampling_probs continue_final_message add_generation_prompt"
)
_ANSWERED: Mapping[str, PassReason] = {
    **dict.fromkeys(_MORE_TO_ANSWER.split(), "fields"),
    "n": "choices",
    "best_of": "choices",
    "logprobs": "logprobs",
    "top_logprobs": "logprobs",
    "prompt_logprobs": "logprobs",
    "n_probs": "logprobs",
}
# These limit the reply, as a variant may.
_LIMITING = (
    "response_format format grammar json_schema guided_json guided_regex guided_choice guided_grammar structured_outputs "
    "regex ebnf structural_tag"
)
LIMIT_FIELDS = frozenset(_LIMITING.split())
_LIMITED_OWN = ("temperature", "stop", *sorted(THINKING_KEYS))
# With these the model answers otherwise than it was measured, or thinks otherwise before it does.
_SWAYING = (
    "logit_bias presence_penalty frequency_penalty repetition_penalty repeat_penalty repeat_last_n top_k min_p top_a typical_p "
    "typical tfs_z top_n_sigma mirostat mirostat_tau mirostat_eta dynatemp_range dynatemp_exponent xtc_probability xtc_threshold "
    "dry_multiplier dry_base dry_allowed_length dry_penalty_last_n dry_sequence_breakers samplers length_penalty use_beam_search "
    "stop stop_token_ids min_tokens ignore_eos bad_words allowed_token_ids chat_template chat_template_kwargs options verbosity"
)
_SWAYS = frozenset(_SWAYING.split()) | THINKING_KEYS
_EMPTY: tuple[Any, ...] = ("", [], {})
LARGEST_LIMIT = 32_768
TEXT_TOKENS = 1024
THINKING_TOKENS = 4096  # beside those, where the client asks for thinking and sets no limit
"""Tokens that a variant may be given for one reply. A larger limit of a client is forwarded as it came."""
_OBSERVED = frozenset({"logprobs", "top_logprobs"})
_LOOKED_AT = frozenset(_ANSWERED) | LIMIT_FIELDS
_decode = msgspec.json.Decoder().decode


def fields_of(asked: ClientRequest) -> Mapping[str, msgspec.Raw]:
    """The fields that a client sent beside messages and tools, undecoded."""
    return asked.request.beside.get(NAME, {})


def why_past(variant: Variant, asked: ClientRequest) -> PassReason | None:
    """Say which part of a request the variant has no words for; None if there is none."""
    if asked.beyond is not None:
        return asked.beyond
    fields = fields_of(asked)
    for key in fields:
        if key not in _LOOKED_AT:
            continue
        value = _decode(fields[key])
        if says_nothing(key, value) or (key == "response_format" and value == {"type": "text"}):
            continue
        if key in LIMIT_FIELDS:
            if limited(variant) or variant.tools != "native":
                return "response_format"
        else:
            return _ANSWERED[key]
    return None


def unsent(variant: Variant, asked: ClientRequest, upstream: Upstream) -> PassReason | None:
    """Say what of the variant's requests the server would not take, or not hear; None if there is nothing."""
    if variant.needs_grammar and not upstream.writes_grammars:
        return "grammar"
    if rests_on_logprobs(variant) and not upstream.gives_logprobs:
        return "no_logprobs"
    # A native variant that limits no output can't demand a call there.
    heard = limited(variant) or variant.tools != "native"
    return "tool_choice" if _unheard(asked, upstream) and not heard else None


def demanding(variant: Variant, asked: ClientRequest, upstream: Upstream) -> Variant:
    """Return the variant that makes a required call; the same one where none is required.

    Nothing withholds the call or decides about it: that was never measured for calls that are
    demanded. Of a server that ignores the choice it is demanded another way. Where the variant's
    calls are the JSON that a schema can ask for, its replies are limited to them. A variant of
    another form asks in words alone.
    """
    if asked.request.tool_choice != "required":
        return variant
    variant = _undoubting(variant) if rests_on_logprobs(variant) else variant
    if not upstream.ignores_choice or limited(variant) or variant.tools == "native" or variant.call_format != "json":
        return variant
    return variant.model_copy(update={"constraint": "json_schema"})


@remembered
def _undoubting(variant: Variant) -> Variant:
    """The variant without its threshold, and without the questions that come first."""
    options = {key: value for key, value in variant.options.items() if key not in ("decide", "pick")}
    return variant.model_copy(update={"parsers": without_threshold(variant.parsers)[0], "options": options})


def _unheard(asked: ClientRequest, upstream: Upstream) -> bool:
    return asked.request.tool_choice == "required" and upstream.ignores_choice


def limited(variant: Variant) -> bool:
    """Say whether the variant limits what the model may write."""
    return variant.constraint != "none" or variant.steps != "single"


def kept_by(variant: Variant, asked: ClientRequest, *, judged: bool = False) -> tuple[str, ...]:
    """Return the client's fields in whose place the variant keeps its own.

    A limited reply is measured at the variant's temperature and without thinking, and its limit
    says where it ends. What was measured at a temperature above 0, or with an allowance to think, is
    served so. judged: the reply has to be sure, which was measured at that temperature, too.
    """
    return _kept(variant, asked, judged=judged, limits=limited(variant))


def _kept(variant: Variant, asked: ClientRequest, *, judged: bool, limits: bool) -> tuple[str, ...]:
    fields = fields_of(asked)
    if not fields:
        return ()
    own, sampling = [*_LIMITED_OWN] if limits else [], variant.sampling
    if judged or sampling.temperature:
        own += ["temperature", "top_p"]
    elif sampling.top_p is not None:
        own.append("top_p")
    if sampling.thinking_tokens:
        own += sorted(THINKING_KEYS)
    return tuple(dict.fromkeys(key for key in own if key in fields))


def swayed(variant: Variant, asked: ClientRequest) -> bool:
    """Say whether the client's fields make an answer another one than was measured.

    What the variant keeps its own for does not. A seed only chooses among the same answers.
    """
    fields = fields_of(asked)
    mine = _SWAYS.intersection(fields).difference(kept_by(variant, asked, judged=True))
    for key in mine:
        value = _decode(fields[key])
        # A model may think by itself, so a wish not to changes its answer, too.
        if value is not None and value not in _EMPTY and (key in THINKING_KEYS or not says_nothing(key, value)):
            return True
    return False


def beside_step(
    variant: Variant, asked: ClientRequest, step: RenderedStep, *, observed: bool, judged: bool = False
) -> dict[str, dict[str, Any]]:
    """Return the client's fields that go with a step of the variant.

    Args:
        observed: log probabilities are asked for.
        judged: as of `kept_by`.
    """
    fields = fields_of(asked)
    if not fields:
        return {}
    left_out = LIMIT_KEYS if judged or (asked.max_tokens or 0) <= LARGEST_LIMIT else frozenset()
    if observed:  # their limit, and whether to give them, is not the client's affair
        left_out = LIMIT_KEYS | _OBSERVED
    if step.logprobs is not None:  # a question for one token, whose probabilities are read and nothing else
        left_out = LIMIT_KEYS | _OBSERVED | LIMIT_FIELDS | set(_LIMITED_OWN)
    limits = limited(variant) and (judged or step.constraint is not None)
    left_out = left_out.union(_kept(variant, asked, judged=judged, limits=limits))
    if not step.tools:
        left_out = left_out | {"parallel_tool_calls"}
    kept = {key: value for key, value in fields.items() if key not in left_out}
    return {NAME: kept} if kept else {}


def beside_answer(asked: ClientRequest, *, with_tools: bool) -> dict[str, dict[str, Any]]:
    """Return the client's fields that go with a request for a plain answer."""
    fields = fields_of(asked)
    if with_tools:
        return asked.request.beside
    # The model has just been asked through a variant, which knows no answer without an end.
    bounded = {} if asked.max_tokens is not None else {"max_tokens": asked.request.sampling.max_tokens}
    return {NAME: {key: value for key, value in fields.items() if key != "parallel_tool_calls"} | bounded}


def step_sampling(asked: ClientRequest, step: RenderedStep, *, judged: bool) -> Sampling:
    """The sampling of a step. A free answer may be as long as the client allows, unless it has to be sure (judged)."""
    if step.logprobs is not None:  # it reads these alone
        return step.sampling
    if judged:  # a longer answer was cut where its confidence was learnt
        least = min(asked.max_tokens or step.sampling.max_tokens, step.sampling.max_tokens)
        return step.sampling.model_copy(update={"max_tokens": least})
    free = step.constraint is None
    wanted = asked.max_tokens or (max(step.sampling.max_tokens, TEXT_TOKENS) if free else step.sampling.max_tokens)
    thinks = step.sampling.thinking_tokens > 0  # it has an allowance of its own
    if free and not thinks and asked.max_tokens is None and wants_thinking(fields_of(asked)):
        wanted += THINKING_TOKENS
    most = min(wanted, LARGEST_LIMIT)
    return step.sampling if most == step.sampling.max_tokens else step.sampling.model_copy(update={"max_tokens": most})
