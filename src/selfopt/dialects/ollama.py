"""The dialect of Ollama's native API: writes requests and reads replies.

Ollama's OpenAI-compatible API ignores keep_alive and num_ctx.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from selfopt.errors import EndpointError, SettingsError
from selfopt.records import ChatRequest, EndpointConfig, LoadEvidence, Message, Timings, ToolCall, Usage

from .base_url import bearer, normalise_base_url
from .carrying import carried, merged, picture_of
from .faults import refuse_error
from .finish import finish_of
from .jsontext import as_dict, as_int, as_list, as_ms, as_str, as_text
from .kinds import EndpointKind
from .logprobs import add_entries
from .parts import Parts, StreamDecoder, beside_of, given, numbered, refuse_grammar

DEFAULT_PORT = 11434
NS_PER_MS = 1e6
# load_duration is not zero for a model that is loaded: up to 575 ms are documented.
WARM_BELOW_MS = 600.0
COLD_FROM_MS = 1000.0


class Ollama:
    """The `Dialect` of Ollama's servers.

    Ollama sends no headers before the model is loaded, and cancels the load when the client
    leaves. Warm up with a long timeout.
    """

    name = "ollama"

    def __init__(self, config: EndpointConfig) -> None:
        """Use base_url, which may lack a scheme and a port, as OLLAMA_HOST may.

        Raises:
            SettingsError: base_url is missing or not a URL.
        """
        if not config.base_url:
            raise SettingsError(f"endpoint {config.name}: base_url is missing; give one such as http://127.0.0.1:{DEFAULT_PORT}")
        url = normalise_base_url(config.base_url, default_port=DEFAULT_PORT)
        self.root = url.removesuffix("/v1").removesuffix("/api")
        self.url = f"{self.root}/api/chat"
        self.headers = bearer(config)
        self._endpoint = config.name

    def write_request(self, request: ChatRequest, *, streamed: bool = False) -> dict[str, Any]:
        """Write the body of POST /api/chat.

        num_predict bounds the answer and the thinking, so the thinking budget is added to it. The
        API has no tool_choice: for "none" the tools are left out, and "required" has no effect.
        """
        refuse_grammar(self._endpoint, request)
        options, think = given(num_ctx=request.context_size), {}
        if not request.as_said:
            sampling = request.sampling
            options = given(
                temperature=sampling.temperature,
                num_predict=sampling.max_tokens + sampling.thinking_tokens,
                top_p=sampling.top_p,
                seed=sampling.seed,
                num_ctx=request.context_size,
            )
            think = {"think": sampling.thinking_tokens > 0}
        body: dict[str, Any] = {
            "model": request.model,
            "messages": [self._message(m) for m in numbered(request.messages)],
            "stream": streamed,
            **think,
            "options": options,
        }
        if request.tools and request.tool_choice != "none":
            body["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": t.name,
                        "description": t.description,
                        "parameters": t.parameters,
                        **t.beside.get("function", {}),
                    },
                    **t.beside.get("tool", {}),
                }
                for t in request.tools
            ]
        if request.constraint is not None:
            body["format"] = request.constraint.json_schema or {}
        if request.keep_alive_s is not None:
            body["keep_alive"] = keep_alive(request.keep_alive_s)
        if request.logprobs is not None:
            body |= {"logprobs": True, "top_logprobs": request.logprobs}
        return merged(body, carried(self._endpoint, self.name, request)) | beside_of(request, self.name)

    def _message(self, message: Message) -> dict[str, Any]:
        out: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.pictures:
            out["images"] = [self._picture(url) for url in message.pictures]
        if message.tool_calls:
            out["tool_calls"] = [{"function": {"name": c.name, "arguments": c.arguments}} for c in message.tool_calls]
        if message.role == "tool" and message.name:
            out["tool_name"] = message.name
        thought = as_str(message.beside.get("reasoning_content")) or as_str(message.beside.get("reasoning"))
        return out | {"thinking": thought} if thought else out

    def _picture(self, url: str) -> str:
        """The picture of a data URL. Ollama fetches none."""
        picture = picture_of(url)
        if picture is None:
            said = f"endpoint {self._endpoint}: Ollama takes pictures as data URLs only (image_url); send the picture itself"
            raise EndpointError(said, kind="bad_request", told=said)
        return picture[1]

    def decode_reply(self, data: Any) -> Parts:
        """See `Dialect`. Raises ValueError without a message, or if its content is not text."""
        refuse_error(data)
        message = as_dict(data).get("message")
        if not isinstance(message, dict):
            raise ValueError("reply has no message")
        parts = Parts()
        _add_message(parts, message)
        add_entries(parts.logprobs, as_list(data.get("logprobs")))
        _add_end(parts, data)
        return parts

    def decoder(self) -> StreamDecoder:
        """See `Dialect`."""
        return _Lines()


def keep_alive(seconds: float) -> int | str:
    """Seconds in Ollama's form: a whole number, or a text with a unit."""
    return int(seconds) if seconds == int(seconds) else f"{seconds}s"


def load_evidence(load_ms: float | None) -> LoadEvidence:
    """Tell from load_duration whether the model was loaded for this request.

    Up to 600 ms it was not, from 1000 ms it was. In between this is unknown.
    """
    if load_ms is None:
        return LoadEvidence()
    loaded = True if load_ms >= COLD_FROM_MS else False if load_ms <= WARM_BELOW_MS else None
    return LoadEvidence(load_ms=load_ms, loaded=loaded)


def _add_message(parts: Parts, message: dict[str, Any]) -> tuple[str, str]:
    text, thinking = as_text(message.get("content")), as_str(message.get("thinking"))
    parts.text += text
    parts.thinking += thinking
    parts.add_calls(message)
    return text, thinking


def _add_end(parts: Parts, data: dict[str, Any]) -> None:
    load_ms = as_ms(data.get("load_duration"), NS_PER_MS)
    parts.model = as_str(data.get("model")) or parts.model
    parts.finish = finish_of(data.get("done_reason"))
    if parts.finish == "unknown" and data.get("done") is True:
        parts.finish = "stop"
    parts.usage = Usage(input_tokens=as_int(data.get("prompt_eval_count")), output_tokens=as_int(data.get("eval_count")))
    parts.timings = Timings(
        load_ms=load_ms,
        prompt_ms=as_ms(data.get("prompt_eval_duration"), NS_PER_MS),
        output_ms=as_ms(data.get("eval_duration"), NS_PER_MS),
        total_ms=as_ms(data.get("total_duration"), NS_PER_MS),
    )
    parts.load = load_evidence(load_ms)


@dataclass
class _Lines(StreamDecoder):
    """Builds a reply from its lines, each of which is JSON. Ollama does not split tool calls."""

    parts: Parts = field(default_factory=Parts)
    _ended: int = 0

    def add(self, data: Any) -> tuple[str, str]:
        """See `StreamDecoder`."""
        refuse_error(data)
        line = as_dict(data)
        message, last = as_dict(line.get("message")), line.get("done") is True
        add_entries(self.parts.logprobs, as_list(line.get("logprobs")))
        added = _add_message(self.parts, message) if not (last and self._repeats(message)) else ("", "")
        if last:
            self.finished = self.over = True
            _add_end(self.parts, line)
        return added

    def _repeats(self, message: dict[str, Any]) -> bool:
        """Whether the last message says everything again."""
        said = Parts()
        _add_message(said, message)
        again, before = ((parts.text, parts.thinking, parts.tool_calls, parts.broken) for parts in (said, self.parts))
        return any(again) and again == before

    def ended(self) -> tuple[ToolCall, ...]:
        """See `StreamDecoder`."""
        if self.parts.broken:  # which may be mended at the end, and stand before others
            return ()
        fresh = tuple(self.parts.tool_calls[self._ended :])
        self._ended += len(fresh)
        return fresh

    def done(self) -> Parts:
        """See `StreamDecoder`."""
        return self.parts


def one_name(name: str) -> str:
    """Return one name for all that Ollama understands as the same model.

    Ollama ignores case. `latest` stands for a missing tag, `registry.ollama.ai` for a missing host,
    and `library` for a missing namespace. Hugging Face has two hosts. A digest only pins what a
    name stands for.
    """
    name = name.lower().rpartition("://")[2].partition("@")[0]
    while name.endswith(":latest"):
        name = name.removesuffix(":latest")
    parts = name.split("/")
    if len(parts) == 3 and parts[0] == "registry.ollama.ai":
        del parts[0]
    if len(parts) == 2 and parts[0] == "library":
        del parts[0]
    if len(parts) == 3 and parts[0] == "huggingface.co":
        parts[0] = "hf.co"
    return "/".join(parts)


KIND = EndpointKind(
    dialect=Ollama,
    speaks=Ollama.name,
    openai_path="/v1",
    writes_grammars=False,
    any_schema=True,
    ignores_choice=True,
    counts_idle=True,
    lists_models=True,
    default_port=DEFAULT_PORT,
    url_variable="OLLAMA_HOST",
    one_name=one_name,
)
