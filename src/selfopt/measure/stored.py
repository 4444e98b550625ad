"""What the ledger keeps of a trial's replies, for whoever judges them without asking a model."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from selfopt.errors import CorruptError
from selfopt.records import Blob, Exchange, Ledger, LogProbs, ReplyContent, Trial

from .lookup import held


@dataclass(frozen=True, slots=True)
class StoredReply:
    """The reply to one successful request of a trial. Each part is read when it is asked for."""

    ledger: Ledger
    exchange: Exchange
    content_hash: str

    @property
    def step(self) -> str:
        """The step of the variant that it answers."""
        return self.exchange.step

    @property
    def counted_tokens(self) -> int | None:
        """How many tokens the server counted in the reply, with its end; None where it does not say.

        Where there are far fewer log probabilities, some are missing: OpenAI, for one, gives none for
        thinking and for calls.
        """
        return self.exchange.attempts[-1].usage.output_tokens

    def content(self) -> ReplyContent:
        """What the model said. CorruptError when the ledger does not hold it."""
        return ReplyContent.model_validate_json(held(self.ledger, Blob, self.content_hash).text)

    def observed(self) -> ReplyContent:
        """What the model said with its log probabilities, where they are known. Raises like both."""
        content = self.content()
        return content if self.exchange.logprobs is None else content.model_copy(update={"logprobs": self.logprobs()})

    def logprobs(self) -> LogProbs | None:
        """The log probabilities of its tokens; None when there are none, as for every reply of before
        they were asked for.

        CorruptError when the ledger does not hold them, or holds something else.
        """
        kept = self.exchange.logprobs
        if kept is None:
            return None
        text = held(self.ledger, Blob, kept).text
        try:
            return LogProbs.model_validate_json(text)
        except ValidationError as error:
            why = error.errors(include_url=False, include_input=False)[0]["msg"]
            raise CorruptError(f"blob {kept} holds no log probabilities ({why}); restore the ledger from a copy") from None


def stored_replies(ledger: Ledger, trial: Trial) -> list[StoredReply]:
    """The replies to a trial's successful requests, in order. Reads nothing yet."""
    return [StoredReply(ledger, item, item.content) for item in trial.exchanges if item.content is not None]
