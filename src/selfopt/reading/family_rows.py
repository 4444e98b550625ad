"""The table of families. The next family is a row.

A mark that is shared is sniffed by what follows it, so the first row that fits both names the family
of a call that was read. The rows with a `template` are in the order in which a template is searched.
"""

from __future__ import annotations

from typing import Any

from .family import Family, Marks

_BY_NAME = ('<parameter name="{key}">', "</parameter>\n")
_DSML = ('<｜DSML｜parameter name="{key}" string="{string}">', "</｜DSML｜parameter>\n")
_DSML_CALL = ('<｜DSML｜invoke name="{name}">\n', "</｜DSML｜invoke>")
_DEEPSEEK = ("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>")
_PAIR = ("<arg_key>{key}</arg_key>\n<arg_value>", "</arg_value>\n")


def _json(name: str, title: str, opening: str, closing: str = "", **more: Any) -> Family:
    """Each call is an object between these marks."""
    return Family(name=name, title=title, marks=(opening, closing), **more)


def _list(name: str, title: str, opening: str, closing: str = "", **more: Any) -> Family:
    """All calls are one list between these marks."""
    return Family(name=name, title=title, around=(opening, closing), listed="always", **more)


def _named(name: str, title: str, opening: str, closing: str, parameter: Marks = _BY_NAME, **more: Any) -> Family:
    """Each call is a name and parameters."""
    return Family(name=name, title=title, marks=(opening, closing), body="parameters", parameter=parameter, **more)


# fmt: off
ROWS = (
    _named(
        "minimax_m2", "MiniMax M2", '<invoke name="{name}">\n', "</invoke>",
        around=("<minimax:tool_call>\n", "\n</minimax:tool_call>"), others=(("[TOOL_CALL]", "[/TOOL_CALL]"),),
        template=("<minimax:tool_call>",), vllm="minimax_m2", sglang="minimax-m2",
    ),
    _named(
        "minimax_m3", "MiniMax M3", ']<]minimax[>[<invoke name="{name}">\n', "]<]minimax[>[</invoke>\n",
        ("]<]minimax[>[<{key}>", "]<]minimax[>[</{key}>\n"),
        around=("]<]minimax[>[<tool_call>\n", "]<]minimax[>[</tool_call>"), between="",
        template=("]<]minimax[>[",), vllm="minimax_m3", sglang="minimax-m3",
    ),
    Family(
        name="gemma4", title="Gemma 4", body="braces", quote='<|"|>', between="", others=(("call:{name}", ""), ('{name}<|"|>', "")),
        marks=("<|tool_call>call:{name}", "<tool_call|>"),
        template=("<|tool_call>", "<tool_call|>"), vllm="gemma4", sglang="gemma4",
    ),
    Family(
        name="functiongemma", title="FunctionGemma", body="braces", quote="<escape>", between="", others=(("{name}<escape>", ""),),
        marks=("<start_function_call>call:{name}", "<end_function_call>"),
        template=("<start_function_call>",), vllm="functiongemma",
    ),
    _named(
        "longcat", "LongCat", "<longcat_tool_call>{name}\n", "</longcat_tool_call>",
        ("<longcat_arg_key>{key}</longcat_arg_key>\n<longcat_arg_value>", "</longcat_arg_value>\n"),
        template=("<longcat_tool_call>",), vllm="longcat",
    ),
    _named(
        "seed_oss", "Seed-OSS", "<seed:tool_call>\n<function={name}>\n", "</function>\n</seed:tool_call>",
        ("<parameter={key}>", "</parameter>\n"),
        template=("<seed:tool_call>",), vllm="seed_oss",
    ),
    _named(
        "step3",
        "Step3",
        '<｜tool_call_begin｜>function<｜tool_sep｜><steptml:invoke name="{name}">\n',
        "</steptml:invoke><｜tool_call_end｜>",
        ('<steptml:parameter name="{key}">', "</steptml:parameter>\n"),
        around=("<｜tool_calls_begin｜>\n", "\n<｜tool_calls_end｜>"),
        template=("<steptml:",), vllm="step3", sglang="step3",
    ),
    _named(
        "kimi_k3", "Kimi K3", '<|open|>call tool="{name}" index="{number}"<|sep|>', "<|close|>call<|sep|>",
        ('<|open|>argument key="{key}" type="{type}"<|sep|>', "<|close|>argument<|sep|>"),
        around=("<|open|>tools<|sep|>", "<|close|>tools<|sep|>"),
        others=(("", "<|close|>message<|sep|>"),),
        between="", template=("<|open|>", "<|sep|>"), vllm="kimi_k3", sglang="kimi_k3",
    ),
    _named(
        "k2_horizon", "K2 Horizon", "<ifm|tool_call>{name}\n", "</ifm|tool_call>",
        ("<ifm|arg_key>{key}</ifm|arg_key>\n<ifm|arg_value>", "</ifm|arg_value>\n"),
        around=("<ifm|tool_calls>\n", "\n</ifm|tool_calls>"),
        template=("<ifm|tool_call>",), vllm="k2_horizon", sglang="k2_horizon",
    ),
    _json(
        "plamo3", "PLaMo 3",
        "<|plamo:begin_tool_request:plamo|><|plamo:begin_tool_name:plamo|>{name}"
        "<|plamo:end_tool_name:plamo|><|plamo:begin_tool_arguments:plamo|>",
        "<|plamo:end_tool_arguments:plamo|><|plamo:end_tool_request:plamo|>",
        around=("<|plamo:begin_tool_requests:plamo|>", "<|plamo:end_tool_requests:plamo|>"),
        between="", template=("<|plamo:begin_tool_request:plamo|>",),
    ),
    _named(
        "solar_open2", "Solar Open 2", "<|tool_call:start|>{name}\n", "<|tool_call:end|>",
        ("<|tool_arg:start|>{key}<|tool_arg:value|>", "<|tool_arg:end|>\n"),
        template=("<|tool_call:start|>",), vllm="solar_open2",
    ),
    _list("pangu", "openPangu", "[unused11]", "[unused12]", template=("[unused11]",)),
    _list("hyperclovax", "HyperCLOVA X", " -> tool/function_call\n", "<|im_end|>", template=("-> tool/function_call",)),
    _named(
        "dots", "dots", '<invoke name="{name}">\n', "</invoke>",
        around=("<dots_function_call>\n", "\n</dots_function_call>"), template=("<dots_function_call>",), sglang="dots",
    ),
    _json(
        "kimi_k2",
        "Kimi K2",
        "<|tool_call_begin|>functions.{name}:{index}<|tool_call_argument_begin|>",
        "<|tool_call_end|>",
        around=("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"),
        others=(("<|tool_call_section_begin|>", "<|tool_call_section_end|>"),),
        between="", template=("<|tool_calls_section_begin|>",), vllm="kimi_k2", sglang="kimi_k2",
    ),
    _named(
        "deepseek_v32", "DeepSeek V3.2", *_DSML_CALL, _DSML,
        around=("<｜DSML｜function_calls>\n", "\n</｜DSML｜function_calls>"),
        template=("｜DSML｜", "function_calls>"), vllm="deepseek_v32", sglang="deepseekv32",
    ),
    _named(
        "deepseek_v4", "DeepSeek V4", *_DSML_CALL, _DSML,
        around=("<｜DSML｜tool_calls>\n", "\n</｜DSML｜tool_calls>"),
        others=(("<｜DSML｜calls>", "</｜DSML｜calls>"), ("<｜DSML｜toolcalls>", "</｜DSML｜toolcalls>")),
        template=("｜DSML｜",), vllm="deepseek_v4", sglang="deepseekv4",
    ),
    _json(
        "deepseek_v3", "DeepSeek V3 and R1", "<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n",
        "\n```<｜tool▁call▁end｜>",
        around=_DEEPSEEK,
        others=(("<｜tool▁calls｜>", "</｜tool▁calls｜>"), ("function{name}", "")),
        template=("<｜tool▁calls▁begin｜>", "```json"), vllm="deepseek_v3", sglang="deepseekv3",
    ),
    _json(
        "deepseek_v31", "DeepSeek V3.1", "<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>", "<｜tool▁call▁end｜>",
        around=_DEEPSEEK,
        between="", template=("<｜tool▁calls▁begin｜>",), vllm="deepseek_v31", sglang="deepseekv31",
    ),
    Family(
        name="apertus", title="Apertus", body="keyed", listed="always",
        around=("<|tools_prefix|>", "<|tools_suffix|>"),
        template=("<|tools_prefix|>",), vllm="apertus", sglang="apertus2509",
    ),
    _named(
        "glimmer", "Muse Glimmer", '<atem:invoke name="{name}">\n', "</atem:invoke>",
        ('<atem:parameter name="{key}">', "</atem:parameter>\n"),
        around=("<atem:function_calls>\n", "\n</atem:function_calls>"),
        template=("<atem:function_calls>",), sglang="muse",
    ),
    _json(
        "inkling", "Inkling", "<|content_invoke_tool_json|>", "<|end_message|>", others=(("<|message_model|>{name}", ""),),
        keys=("name", "args"), template=("<|content_invoke_tool_json|>",), vllm="inkling", sglang="inkling",
    ),
    _list(
        "command_r7b", "Command R7B and A", "<|START_ACTION|>", "<|END_ACTION|>",
        keys=("tool_name", "parameters"), template=("<|START_ACTION|>",),
        vllm="cohere_command3", sglang="cohere_command4",
    ),
    _list(
        "command_r", "Command R", "Action: ```json\n", "\n```", others=(("Action:", ""),),
        keys=("tool_name", "parameters"), template=("Action: ```json",),
    ),
    _json(
        "gpt_oss",
        "gpt-oss (harmony)",
        "<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>",
        "<|call|>",
        between="<|start|>assistant",
        others=(("", "<|end|>"),),
        template=("<|channel|>", "<|message|>"), vllm="openai", sglang="gpt-oss",
    ),
    _json("functionary_v32", "Functionary 3.2", ">>>{name}\n", between="", template=(">>>all",)),
    _json(
        "functionary_v24", "Functionary 2.4", "<|recipient|>{name}\n<|content|>",
        between="\n<|from|>assistant\n", template=("<|recipient|>",),
    ),
    _named(
        "hunyuan_v3", "Hunyuan 3", "<tool_call>{name}<tool_sep>\n", "</tool_call>",
        _PAIR,
        around=("<tool_calls>\n", "\n</tool_calls>"),
        template=("<tool_sep>",), vllm="hy_v3",
    ),
    _named(
        "glm45", "GLM-4.5", "<tool_call>{name}\n", "</tool_call>", _PAIR,
        template=("<arg_key>", "'\\n<arg_key>'"), vllm="glm45", sglang="glm45",
    ),
    _named(
        "glm47", "GLM-4.7 and GLM-5", "<tool_call>{name}", "</tool_call>",
        ("<arg_key>{key}</arg_key><arg_value>", "</arg_value>"),
        between="", template=("<arg_key>",), vllm="glm47", sglang="glm47",
    ),
    _list(
        "lfm2", "LFM2", "<|tool_call_start|>", "<|tool_call_end|>",
        body="keywords", template=("<|tool_call_start|>",), vllm="lfm2", sglang="lfm2", version=2,
    ),
    _list(
        "llama4", "Llama 4", "<|python_start|>", "<|python_end|>",
        body="keywords", template=("<|python_start|>",), vllm="llama4_pythonic", sglang="pythonic",
        version=2,
    ),
    Family(
        name="llama3", title="Llama 3", between="; ", keys=("name", "parameters"),
        around=("<|python_tag|>", ""),
        others=(("", "<|eom_id|>"), ("", "<|eot_id|>")),
        template=("<|python_tag|>",), vllm="llama3_json", sglang="llama3", version=2,
    ),
    _json(
        "internlm", "InternLM 2", "<|action_start|><|plugin|>\n", "<|action_end|>",
        keys=("name", "parameters"), template=("<|action_start|>",), vllm="internlm", sglang="interns1",
        version=2,
    ),
    _list(
        "nemotron", "Nemotron", "<TOOLCALL>", "</TOOLCALL>",
        others=(("<|toolcall|>", "<|/toolcall|>"),),
        template=("<TOOLCALL>",),
    ),
    _json(
        "granite_20b", "Granite 20B", "<function_call> ", "</function_call>",
        template=("<function_call>",), vllm="granite-20b-fc", version=2,
    ),
    _list(
        "phi4_mini", "Phi-4-mini", "<|tool_call|>", "<|/tool_call|>",
        others=(("<|tool_calls|>", "<|/tool_calls|>"),),
        template=("<|/tool_call|>",), vllm="phi4_mini_json", version=2,
    ),
    _list("granite", "Granite 3", "<|tool_call|>", template=("<|tool_call|>",), vllm="granite", version=2),
    _list("functools", "FireFunction", "functools", template=("functools[",), vllm="phi4_mini_json"),
    _named(
        "minicpm5", "MiniCPM5", '<function name="{name}">', "</function>", ('<param name="{key}">', "</param>"),
        template=("<param name=",), vllm="minicpm5", sglang="minicpm5",
    ),
    _named(
        "qwen_coder", "Qwen3-Coder", "<tool_call>\n<function={name}>\n", "</function>\n</tool_call>",
        ("<parameter={key}>\n", "\n</parameter>\n"),
        others=(("<function {name}>", ""),),
        template=("<function=", "<parameter="), vllm="qwen3_coder", sglang="qwen3_coder", version=2,
    ),
    _json(
        "llama_function", "Llama 3.1 and Functionary 3.1", "<function={name}>", "</function>",
        template=("<function=",),
    ),
    _json(
        "mistral_args", "Mistral v11", "[TOOL_CALLS]{name}[ARGS]",
        between="", template=("[TOOL_CALLS]", "[ARGS]"), vllm="mistral", sglang="mistral",
    ),
    _json(
        "mistral_call_id", "Mistral v11 with ids", "[TOOL_CALLS]{name}[CALL_ID]{id}[ARGS]",
        between="", template=("[TOOL_CALLS]", "[CALL_ID]"), vllm="mistral", sglang="mistral",
    ),
    _list(
        "mistral", "Mistral", "[TOOL_CALLS] ",
        others=(("", "[/TOOL_CALLS]"),),
        template=("[TOOL_CALLS]",), vllm="mistral", sglang="mistral", version=2,
    ),
    _json("qwen_agent", "Qwen-Agent", "✿FUNCTION✿: {name}\n✿ARGS✿: ", template=("✿FUNCTION✿",)),
    _named(
        "invoke", "Anthropic XML", '<invoke name="{name}">\n', "</invoke>",
        around=("<function_calls>\n", "\n</function_calls>"), template=("<invoke name=",), version=2,
    ),
    _named(
        "anthropic_old", "Anthropic XML before invoke",
        "<invoke>\n<tool_name>{name}</tool_name>\n<parameters>\n", "</parameters>\n</invoke>",
        ("<{key}>", "</{key}>\n"),
        around=("<function_calls>\n", "\n</function_calls>"),
        template=("<function_calls>", "<tool_name>"),
    ),
    Family(
        name="olmo", title="OLMo 3", body="keywords", around=("<function_calls>\n", "\n</function_calls>"),
        template=("<function_calls>",), vllm="olmo3", version=2,
    ),
    Family(
        name="minimax_m1", title="MiniMax M1", around=("<tool_calls>\n", "\n</tool_calls>"),
        template=("<tool_calls>", "tool_call.name"), vllm="minimax",
    ),
    _list("jamba", "Jamba", "<tool_calls>", "</tool_calls>", template=("<tool_calls>",), vllm="jamba", version=2),
    _list("hunyuan", "Hunyuan", "<tool_calls>", "</tool_calls>", vllm="hunyuan_a13b", sglang="hunyuan"),
    _json(
        "hermes", "Hermes, Qwen 2.5 and Qwen 3", "<tool_call>\n", "\n</tool_call>",
        template=("<tool_call>",), vllm="hermes", sglang="qwen25", version=2,
    ),
    _json("gigachat3", "GigaChat 3", "function call<|role_sep|>\n", others=(("<|function_call|>", ""),),
        template=("function call<|role_sep|>",), vllm="gigachat3", sglang="gigachat3"),
    _json("glm4", "GLM-4", "{name}\n", between="<|assistant|>", reader="unmarked", template=("[gMASK]<sop>",)),
    Family(
        name="gemma3", title="Gemma 3", body="keywords", around=("```tool_code\n", "\n```"),
        others=(("<tool_code>", "</tool_code>"),),
        template=("<start_of_turn>",), version=2,
    ),
    Family(
        name="smollm3", title="SmolLM3 with Python tools", body="keywords", around=("<code>\n", "\n</code>"),
        template=("<code>", "</code>"),
    ),
    Family(
        name="use_mcp_tool", title="Cline's use_mcp_tool",
        marks=("<use_mcp_tool>\n<tool_name>{name}</tool_name>\n<arguments>\n", "\n</arguments>\n</use_mcp_tool>"),
    ),
    _named("cline", "Cline and Roo Code", "<{name}>\n", "</{name}>", ("<{key}>", "</{key}>\n"), reader="unmarked"),
    _json("qwen_tools", "Qwen 2.5 Coder", "<tools>\n", "\n</tools>", version=2),
    _json("tool_tag", "tool elements", "<tool>", "</tool>", version=2),
    _json("call_tag", "call elements", "<call>", "</call>", version=2),
    _named("function_tag", "named functions", '<function name="{name}">\n', "</function>", version=2),
    _named("named_tool", "named tools", '<tool name="{name}">\n', "</tool>", others=(('<tool_call name="{name}">', ""),), version=2),
    _named("named_call", "named calls", '<call name="{name}">\n', "</call>", version=2),
)
# fmt: on
"""Every family with marks of its own."""
