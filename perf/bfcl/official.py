"""Verdicts of the official checker, as a child process in an environment that has bfcl-eval and filelock and nothing else.

The checker is executed as it is. What it imports but does not use for Python calls is stood in for: the table of models (an
entry of which only says whether dots in names became underscores), and, for the tools that its generator shows, two parsers
and a retry library. Reads pickled requests from standard input, each answered by one line of JSON.
"""

from __future__ import annotations

import json
import pickle
import sys
import types
from typing import Any, ClassVar


class _Models(dict[str, Any]):
    """Two models: one that is shown names as they are, one that is shown underscores for dots."""

    names: ClassVar[dict[str, bool]] = {"plain": False, "underscores": True}

    def __init__(self) -> None:
        super().__init__({name: types.SimpleNamespace(underscore_to_dot=dots) for name, dots in self.names.items()})


def _stand_in(name: str, **content: Any) -> None:
    module = types.ModuleType(name)
    module.__dict__.update(content)
    sys.modules[name] = module


def _never(*_: Any, **__: Any) -> Any:
    raise AssertionError("stood in for, not meant to be called")


_stand_in("bfcl_eval.constants.model_config", MODEL_CONFIG_MAPPING=_Models())
_stand_in("bfcl_eval.model_handler.parser.java_parser", parse_java_function_call=_never)
_stand_in("bfcl_eval.model_handler.parser.js_parser", parse_javascript_function_call=_never)
_stand_in(
    "tenacity",
    retry=_never,
    retry_if_exception_message=_never,
    retry_if_exception_type=_never,
    wait_random_exponential=_never,
)

from bfcl_eval.constants.enums import Language, ModelStyle  # noqa: E402
from bfcl_eval.constants.type_mappings import GORILLA_TO_OPENAPI  # noqa: E402
from bfcl_eval.eval_checker.ast_eval.ast_checker import ast_checker  # noqa: E402
from bfcl_eval.model_handler.utils import convert_to_tool  # noqa: E402
from bfcl_eval.utils import (  # noqa: E402
    is_empty_output,
    is_function_calling_format_output,
    load_dataset_entry,
    load_ground_truth_entry,
)


def verdict(category: str, entry: dict[str, Any], answer: Any, decoded: list[dict[str, Any]], model: str) -> str:
    """valid, invalid, or what the checker raised. As eval_runner.py does it once a reply is decoded."""
    if "relevance" in category:
        called = not is_empty_output(decoded)
        return "valid" if called != ("irrelevance" in category) else "invalid"
    if not is_function_calling_format_output(decoded):
        return "invalid"
    try:
        result = ast_checker(entry["function"], decoded, answer, Language.PYTHON, category, model)
    except Exception as error:  # the official runner would end here
        return f"raised {type(error).__name__}"
    return "valid" if result["valid"] else "invalid"


def main() -> None:
    """Answer requests: ("tools", category) or ("judge", category, index, model, replies)."""
    loaded: dict[str, tuple[list[Any], list[Any]]] = {}
    requests, answers = sys.stdin.buffer, sys.stdout
    while True:
        try:
            what, category, *rest = pickle.load(requests)
        except EOFError:
            return
        if category not in loaded:
            truths = [] if "relevance" in category else [one["ground_truth"] for one in load_ground_truth_entry(category)]
            loaded[category] = load_dataset_entry(category), truths
        entries, truths = loaded[category]
        if what == "tools":
            said: Any = [
                [one["function"] for one in convert_to_tool(e["function"], GORILLA_TO_OPENAPI, ModelStyle.OPENAI_COMPLETIONS)]
                for e in entries
            ]
        else:
            index, model, replies = rest
            answer = truths[index] if truths else None
            said = [verdict(category, entries[index], answer, decoded, model) for decoded in replies]
        print(json.dumps(said), file=answers, flush=True)


if __name__ == "__main__":
    main()
