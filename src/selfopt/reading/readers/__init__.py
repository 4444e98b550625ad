"""Parsers: reply -> tool calls, one format a file. None of them raises, on any input."""

from __future__ import annotations

from collections.abc import Mapping

from selfopt.records import Parser, ParserName

from .bracket import BracketParser
from .json_text import JsonParser
from .native import NativeParser
from .python_call import PythonCallParser
from .xml_tags import XmlParser

__all__ = ["PARSERS", "BracketParser", "JsonParser", "NativeParser", "PythonCallParser", "XmlParser"]

# In the order in which formats are told apart: the more a format says of itself, the earlier it is tried.
PARSERS: Mapping[ParserName, Parser] = {
    "native": NativeParser(),
    "xml": XmlParser(),
    "json": JsonParser(),
    "bracket": BracketParser(),
    "python_call": PythonCallParser(),
}
