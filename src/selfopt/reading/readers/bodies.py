"""Reads what stands between marks: objects, a name with an object, keywords, braces, pairs."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from selfopt.reading.schema import required_of
from selfopt.records import ToolCall

from .arguments import between_elements, between_marks
from .arrows import arrows_at
from .base import CALL_LIMIT
from .braces import braces
from .definitions import is_schema
from .loose import decode_object
from .marks import Mark
from .scan import Body, Scan
from .shapes import Shape, shape_of

_WRITTEN = re.compile(r"[\w.:/\-]{1,256}+")
# What stands between a name and its arguments: special tokens, fences, signs.
_BETWEEN = re.compile(
    r"(?:\s++|\\n|[:=>]|```\w*+|<[|｜‖][^<>\n]{1,40}+>|<tool_sep(?::\w{1,24}+)?>|\[CALL_ID\][\w\-]{0,64}+|\[[A-Z_]{2,16}+\]"
    r"|✿\w{1,16}+✿:?|(?:commentary|analysis|comment|assistant|json|code)\b){0,10}+"
)
_ROLE = re.compile(
    r"(?:call:\s*+(?=[{\[])|function\s*+<[|｜‖][^<>\n]{1,40}+>|<[|｜‖] ?plugin[|｜‖]>|\[[^\]\n]{1,9}\])?+\s*+(?:```\w*+\s*+)?+"
)
_GLUED = re.compile(r"([^<>\n{}]{1,300}+)</arg_key>\s*+(?=<arg_value>)")
# The mark of a call in the place of the mark before its first argument.
_OPENED_AGAIN = re.compile(r"<tool_call>\s*+([\w\-]{1,64}+)</arg_key>\s*+(?=<arg_value>)")
_PAIR = re.compile(r"(?:\A|[\s,])([\w\-]{1,64}+)[ \t]*+[=:][ \t]*+")
_FIRST_PAIR = re.compile(r"[ \t,:\-]*+[\w\-]{1,64}+[ \t]*+[=:]")
_LINE = re.compile(r"[^<\n]{0,2000}+")
_CHILD_NAME = re.compile(
    r"(?:<server_name>([^<>]{0,256}+)</server_name>\s*+)?+<(tool_name|name|function_name|function|tool)>([^<>]{1,256}+)</\2>\s*+"
)
_BESIDE = re.compile(r"\s*+</tool>\s*+<(?:args|arguments|parameters|params|input)>\s*+(?=\{)")
_CHILD_ARGUMENTS = re.compile(r"<(?:parameters|arguments|params|args|input)>\s*+")
_PYTHON = re.compile(
    r"(?:[A-Za-z_]\w{0,63}+\s*+=\s*+(?!=))?+(?:print\s*+\(\s*+)?+((?:[\w\-]{1,128}+[./]){0,8}+[\w\-]{1,128}+)\s*+\("
)
_KEYWORD = re.compile(r"([^\W\d][\w\-]{0,127}+)\s*+=(?!=)\s*+")
_ID = re.compile(r"call_\w{6,64}")
_INDEX = re.compile(r":[0-9]{1,6}\Z")


def body_at(scan: Scan, position: int, mark: Mark) -> Body | None:
    """What an opening mark without a name encloses; None if it is no call."""
    at = _ROLE.match(scan.text, position).end()  # type: ignore[union-attr]  # it matches nothing, too
    sign = scan.text[at : at + 1]
    if (arrows := arrows_at(scan, at)) is not None:
        return arrows
    if sign == "<":
        return _children(scan, at, mark)
    if sign == "[" and scan.marks.opening.match(scan.text, at):
        return None
    if sign in ("{", "["):
        found = _objects(scan, at)
        return found if found is not None or sign == "{" else _keywords(scan, at, mark)
    return braces(scan, at, mark) or _keywords(scan, at, mark) or _named_objects(scan, at, mark)


def arguments_at(scan: Scan, position: int, written: str, mark: Mark) -> Body | None:
    """The arguments behind a mark with the tool's name; None if it is no call."""
    at = scan.skip(position)
    name = scan.names.match(written)
    called = name or plain_name(written)
    given = _given(scan, at, called) if called else None
    if given is None:
        return None
    arguments, end, form, cut = given
    # Other texts have such elements, too. Only arguments make one a call of an unknown tool.
    if name is None and (form == "nothing" or (form != "parameters" and not mark.special and "=" not in mark.piece[:10])):
        return None
    if form == "nothing" and not cut and scan.past_ends(at) == at:
        return None
    if form == "nothing" and scan.text[position - 2 : position] == "/>" and required_of(scan.names.schema(name or "")):
        return None  # a list of tools
    return _one(called, arguments, end, "parameters" if form == "nothing" else form, cut)


def plain_name(written: str) -> str:
    """The name of a tool that was not offered, without what stands around names."""
    return _INDEX.sub("", written.strip(" \t\r\n\"'`/").removeprefix("functions."))


def _one(name: str, arguments: dict[str, Any], end: int, form: str, cut: bool = False) -> Body:
    return Body((ToolCall(name=name, arguments=arguments),), end, form, named=True, cut=cut)


def _given(scan: Scan, at: int, name: str) -> tuple[dict[str, Any], int, str, bool] | None:
    """Arguments in any form, the position after them, their form, and whether they are cut off."""
    if scan.parameter(at):
        return between_marks(scan, at, name)
    if scan.text[at : at + 1] == "{":
        found = scan.value(at)
        arguments = decode_object(found[0]) if found is not None else None
        if found is None or arguments is None or is_schema(arguments, scan.properties(name)):
            return None
        return _inner(scan, name, arguments), found[1], "json", scan.loose.supplied and scan.skip(found[1]) >= len(scan.text)
    elements = between_elements(scan, at, name)
    if elements is not None:
        return elements
    return {}, at, "nothing", at >= len(scan.text)


def _inner(scan: Scan, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of an object that repeats the name."""
    if arguments.get("name") == name and "name" not in scan.properties(name):
        given = decode_object(next((arguments[key] for key in ("arguments", "parameters", "args") if key in arguments), "no"))
        return arguments if given is None else given
    return arguments


def _objects(scan: Scan, at: int) -> Body | None:
    """Objects that are calls, one after the other."""
    calls: list[ToolCall] = []
    none = read = keyed = False
    start = at
    while scan.text[at : at + 1] in ("{", "[") and scan.text[at : at + 1] and len(calls) <= CALL_LIMIT:
        found = scan.value(at)
        if found is None:
            break
        value, end = found
        shape = shape_of(value, scan.names)
        calls += shape.everything
        none, read, at = none or shape.no_call or value == [], True, end
        if not shape.everything:
            break
        keyed = keyed or _is_keyed(value, shape)
        following = _after_value(scan, end)
        if scan.text[following : following + 1] not in ("{", "[") or scan.marks.opening.match(scan.text, following):
            break
        at = following
    if not read or not (calls or none):
        return None
    cut = scan.loose.supplied and scan.skip(at) >= len(scan.text)
    return Body(tuple(calls), _past_brackets(scan, at), "keyed" if keyed else "json", none=none, cut=cut and start < at)


def _is_keyed(value: Any, shape: Shape) -> bool:
    """Whether the key of the first object is the name of its tool."""
    first = value[0] if isinstance(value, list) and value else value
    return isinstance(first, dict) and len(first) == 1 and bool(shape.calls) and shape.calls[0].name in first


_AFTER_VALUE = re.compile(r"[\s,;}\]]*+")
_BRACKETS = re.compile(r"[\s}\]]*+")


def _after_value(scan: Scan, at: int) -> int:
    return _AFTER_VALUE.match(scan.text, at).end()  # type: ignore[union-attr]  # it matches nothing, too


def _past_brackets(scan: Scan, at: int) -> int:
    """Past brackets that are too many, if a mark or the end of the text follows them."""
    past = _BRACKETS.match(scan.text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
    ends = past >= len(scan.text) or scan.marks.ending.match(scan.text, past) is not None
    return past if ends and scan.text[at:past].strip() else at


def _children(scan: Scan, at: int, mark: Mark) -> Body | None:
    """An element with the name, then one with the arguments."""
    named = _CHILD_NAME.match(scan.text, at)
    if named is None:
        return None
    written = named.group(3).strip()
    name = scan.names.of_server(named.group(1) or "", written)
    if scan.names.is_no_call(written):
        return Body((), named.end(), none=True)
    around = _CHILD_ARGUMENTS.match(scan.text, named.end())
    if name is None and around is None:
        return None
    given = _given(scan, around.end() if around else named.end(), name or plain_name(written))
    if given is None:
        return None
    arguments, end, form, cut = given
    if form == "nothing" and around is None and required_of(scan.names.schema(name or "")):
        return None  # the tool is described
    return _one(name or plain_name(written), arguments, end, "json" if form == "json" else "parameters", cut)


def _named_objects(scan: Scan, at: int, mark: Mark) -> Body | None:
    """A name and its arguments, and more such pairs if the marks between them are lost."""
    found = _name_first(scan, at, mark)
    while found is not None and found.form == "json" and found.calls and len(found.calls) <= CALL_LIMIT:
        word = _WRITTEN.match(scan.text, scan.skip(found.end))
        if word is None or not scan.text.startswith("{", word.end()) or scan.names.match(word.group()) is None:
            break
        more = _name_first(scan, word.start(), mark)
        if more is None:
            break
        found = replace(more, calls=(*found.calls, *more.calls))
    return found


def _name_first(scan: Scan, at: int, mark: Mark) -> Body | None:
    """A name, then its arguments as an object, between marks, as pairs, or none."""
    glued = _GLUED.match(scan.text, at)
    if glued is not None:
        return _name_with_key(scan, glued)
    word = _WRITTEN.match(scan.text, at)
    if word is None:
        return None
    written = word.group()
    name = scan.names.match_id(written) if mark.special else scan.names.match(written)
    if scan.names.is_no_call(written):
        return Body((), word.end(), none=True)
    beside = _BESIDE.match(scan.text, word.end())
    behind = scan.skip(beside.end() if beside is not None else word.end())
    if name is not None and (again := _OPENED_AGAIN.match(scan.text, behind)) is not None:
        given = between_marks(scan, behind, name, key=again.group(1), begin=again.end() + len("<arg_value>"))
        return None if given is None else _one(name, *given)
    if beside is None and scan.parameter(behind) is None:
        behind = _BETWEEN.match(scan.text, word.end()).end()  # type: ignore[union-attr]  # it matches nothing, too
    known = name or ("" if mark.word or mark.behind or _ID.fullmatch(written) else plain_name(written))
    if known and (scan.text[behind : behind + 1] == "{" or scan.parameter(behind)):
        given = _given(scan, behind, known)
        return None if given is None else _one(known, *given)
    if name is None:
        return None
    if scan.past_ends(word.end()) > word.end():
        return _one(name, {}, word.end(), "parameters")
    if scan.past_ends(behind) > behind or scan.marks.ending.search(scan.text, word.end(), behind):
        return _one(name, {}, behind, "parameters")
    if mark.special and behind >= len(scan.text.rstrip()):
        return None if required_of(scan.names.schema(name)) else _one(name, {}, behind, "parameters")
    return None if mark.word or mark.behind else _pairs(scan, word.end(), name)


def _name_with_key(scan: Scan, glued: re.Match[str]) -> Body | None:
    """A name and the first key without the mark between them."""
    written = glued.group(1)
    names = (name for name in scan.names.names if written.startswith(name) and len(name) < len(written))
    name = max(names, key=len, default=None)
    if name is None:
        return None
    at = glued.start() + len(name)
    key = written[len(name) :].strip()
    given = between_marks(scan, at, name, key=key, begin=glued.end() + len("<arg_value>"))
    return None if given is None else _one(name, *given)


def _pairs(scan: Scan, at: int, name: str) -> Body | None:
    """Arguments as `key=value` on one line."""
    if _FIRST_PAIR.match(scan.text, at) is None:
        return None
    line = _LINE.match(scan.text, at).group()  # type: ignore[union-attr]  # it matches nothing, too
    heads = list(_PAIR.finditer(line))
    if not heads or line[: heads[0].start()].strip(" \t,:-"):
        return None
    arguments = {}
    for index, head in enumerate(heads):
        end = heads[index + 1].start() if index + 1 < len(heads) else len(line)
        raw = line[head.end() : end].strip().rstrip(",")
        quoted = len(raw) > 1 and raw[0] == raw[-1] and raw[0] in "\"'"
        arguments[head.group(1)] = raw[1:-1] if quoted else scan.typed(name, head.group(1), raw)
    return _one(name, arguments, at + len(line.rstrip()), "parameters")


def _keywords(scan: Scan, at: int, mark: Mark) -> Body | None:
    """Calls as in Python, in a list or one after the other."""
    listed = scan.text.startswith("[", at)
    at = scan.skip(at + listed)
    calls: list[ToolCall] = []
    end, cut = at, False
    while len(calls) <= CALL_LIMIT:
        head = _PYTHON.match(scan.text, at)
        if head is None:
            break
        written = head.group(1).removesuffix(".call")
        name = scan.names.match(written) or scan.names.match(written.rpartition(".")[2])
        given = _in_parentheses(scan, head.end(), name or "") if name is not None or mark.special else None
        if given is None:
            break
        arguments, end, cut = given
        calls.append(ToolCall(name=name or plain_name(written), arguments=arguments))
        at = _PAST_CALL.match(scan.text, end).end()  # type: ignore[union-attr]  # it matches nothing, too
    if not calls:
        return None
    if listed or scan.text.startswith(")", end):
        closing = scan.skip(end)
        end = closing + 1 if scan.text[closing : closing + 1] in ("]", ")") else end
    return Body(tuple(calls), end, "keywords", cut=cut)


_PAST_CALL = re.compile(r"\s*+\)?[\s,;]*+")


def _in_parentheses(scan: Scan, at: int, name: str) -> tuple[dict[str, Any], int, bool] | None:
    """The arguments of a call as in Python, behind its opening parenthesis."""
    arguments: dict[str, Any] = {}
    unnamed = iter(scan.properties(name))
    while True:
        at = scan.loose.skip(at)
        if scan.text[at : at + 1] == ")":
            return arguments, at + 1, False
        if scan.text[at : at + 1] == "," and arguments:
            at += 1
            continue
        if at >= len(scan.text) or scan.marks.ending.match(scan.text, at):
            return arguments, at, True
        keyword = _KEYWORD.match(scan.text, at)
        found = scan.value(keyword.end() if keyword is not None else at, call=True)
        if found is None or len(arguments) > 256:
            return None
        if keyword is None and not arguments and isinstance(found[0], dict) and found[0].keys() <= scan.properties(name).keys():
            arguments, at = dict(found[0]), found[1]
            continue
        key = keyword.group(1) if keyword is not None else next(unnamed, None)
        if key is None:
            return None
        arguments[key], at = found
