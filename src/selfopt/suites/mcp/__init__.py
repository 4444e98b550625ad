"""Reads the tools of an MCP server once, by the official SDK (the extra `mcp`).

Asks for `tools/list` over HTTP or over standard input and output. Calls no tools. Limits the time,
the size and the number of what a server sends. Ends a started command with everything that it
started.
"""

from .read import DEFAULT_TIMEOUT_S, McpSource, parse_source, read_mcp_tools

__all__ = ["DEFAULT_TIMEOUT_S", "McpSource", "parse_source", "read_mcp_tools"]
