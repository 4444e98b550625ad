"""Live traffic under variants that read the log probabilities of replies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from selfopt.dialects.logprobs import TOP, TOP_SUMMED, longest_asked
from selfopt.errors import EndpointError
from selfopt.reading import needs_logprobs
from selfopt.reading.covering import covered
from selfopt.records import ParsedReply, ReplyContent, Sampling, SignalName, Variant
from selfopt.variants import RenderedStep, rests_on_logprobs

from .escalation import Escalating
from .leanings import Leanings
from .live_request import LiveRequest
from .passing import unfit

BLIND_S = 60.0
"""So long a model whose replies lacked log probabilities is not asked for them again."""


# These are told by the likeliest tokens: of where a call begins, and of where a value ends.
_TOLD_BY_TOP: frozenset[SignalName] = frozenset({"choice", "least_value", "mean_value"})


class BlindModels:
    """Remembers which models gave no log probabilities just before."""

    def __init__(self, now: Callable[[], float]) -> None:
        """now: seconds of a clock that never goes back."""
        self._now = now
        self._until: dict[str, float] = {}

    def __contains__(self, model: str) -> bool:
        """Whether a model, by the one name for all of its names, need not be asked now."""
        until = self._until.get(model)
        if until is not None and until <= self._now():
            del self._until[model]
            return False
        return until is not None

    def add(self, model: str) -> None:
        """Take note that a reply of this model had none."""
        self._until[model] = self._now() + BLIND_S


class Observing:
    """What one attempt makes of a variant that reads log probabilities.

    Attributes:
        top: how many of the likeliest tokens its requests ask for; None where the chain reads none.
            A step that reads them alone asks for its own.
        judged: whether the confidence of the answer rests on them.
    """

    def __init__(
        self, variant: Variant, exchange: LiveRequest, blind: BlindModels, leanings: Leanings, *, compared: bool = False
    ) -> None:
        """compared: only the calls of the answer are looked at, and not how sure it is."""
        self._exchange = exchange
        self._blind = blind
        self._leanings = leanings
        self._shortened = self._bare = False
        when = None if compared else exchange.serve_when
        self.judged = when is not None and when.model.needs_logprobs
        self.top = TOP_SUMMED if self.judged or needs_logprobs(variant.parsers) else None
        if when is not None and when.model.signals & _TOLD_BY_TOP:
            self.top = TOP  # as in measurements
        self._rests = self.judged or rests_on_logprobs(variant)

    def beside(self, variant: Variant, exchange: LiveRequest) -> Observing:
        """The same for a second way of asking, whose calls are compared."""
        return Observing(variant, exchange, self._blind, self._leanings, compared=True)

    @property
    def in_vain(self) -> bool:
        """Whether the server gives none, or the model gave none just before."""
        upstream = self._exchange.upstream
        return self._rests and (not upstream.gives_logprobs or upstream.known_as in self._blind)

    def shortened(self, sampling: Sampling) -> Sampling:
        """The sampling with a limit that a reply with log probabilities may have."""
        if self.top is None:
            return sampling
        longest = max(1, longest_asked(self.top, self._exchange.upstream.max_reply_bytes) - sampling.thinking_tokens)
        if sampling.max_tokens <= longest:
            return sampling
        self._shortened = True
        return sampling.model_copy(update={"max_tokens": longest})

    def seen(self, step: RenderedStep, content: ReplyContent) -> ReplyContent:
        """The reply to a step, without log probabilities that are too few for its confidence."""
        if not content.logprobs:  # without text or calls there may have been no token to give one for
            self._bare = self._bare or bool(content.text or content.tool_calls or content.broken_tool_calls)
        if not self.judged or step.logprobs is not None:
            return content
        return covered(content)

    async def leaning(self, question: str, ask: Callable[[], Awaitable[ReplyContent]]) -> ReplyContent:
        """The reply to a question without content, asked once.

        question: what tells it from others (`question_key`).
        """
        model = self._exchange.upstream.known_as
        found = self._leanings.get(model, question)
        if found is None:
            found = await ask()
            if found.logprobs:
                self._leanings.add(model, question, found)
        return found

    def misses(self, step: RenderedStep, content: ReplyContent) -> bool:
        """Say whether a step that reads log probabilities alone got none, and take note of it."""
        if step.logprobs is None or content.logprobs:
            return False
        if content.text:  # else there may have been no token to give one for
            self._blind.add(self._exchange.upstream.known_as)
        return True

    def fails(self, parsed: ParsedReply, content: ReplyContent) -> bool:
        """Say whether a reply is no evidence for what the rule promises, and take note of it.

        Its calls have no log probabilities, or it ended at the limit that they set. A model that gave
        some, though too few, may give enough the next time.
        """
        ticket = self._exchange.ticket
        if parsed.unobserved or (self.judged and not content.logprobs):
            if self._bare:
                self._blind.add(self._exchange.upstream.known_as)
            return True
        ticket.unsure += parsed.withheld
        return self._shortened and content.finish_reason == "length"

    def give_up(self) -> None:
        """Let another model answer, if one is left; else the attempt goes past the variant.

        Raises EndpointError, and Escalating where an answer has to be sure.
        """
        ticket = self._exchange.ticket
        ticket.unobserved += 1
        if self._exchange.serve_when is not None:
            raise Escalating("no_logprobs")
        if self._exchange.helped:
            raise unobserved()
        ticket.variant, ticket.passed, ticket.kept = None, "no_logprobs", ()


def unobserved() -> EndpointError:
    """Return the error for a reply without the log probabilities that the rule's variant reads."""
    return unfit("the reply has no log probabilities, on which the variant rests")
