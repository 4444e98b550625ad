"""Reads the tools of an MCP server once.

Asks for `tools/list` over HTTP or over standard input and output. Calls no tools. Limits the time,
the size and the number of what a server sends. Ends a started command with everything that it
started. Source: the Model Context Protocol, revisions 2024-11-05 to 2026-07-28
(modelcontextprotocol.io).
"""

from .read import DEFAULT_TIMEOUT_S, McpSource, parse_source, read_mcp_tools

__all__ = ["DEFAULT_TIMEOUT_S", "McpSource", "parse_source", "read_mcp_tools"]
