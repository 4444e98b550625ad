"""The tools of an MCP server, read once: `tools/list` over standard input and output, or over HTTP.

Nothing is called. What a server sends is bounded in time, in size and in number; a command that was started is ended with
everything that it started. Source: the Model Context Protocol, revisions 2024-11-05 to 2026-07-28 (modelcontextprotocol.io).
"""

from .read import DEFAULT_TIMEOUT_S, McpSource, parse_source, read_mcp_tools

__all__ = ["DEFAULT_TIMEOUT_S", "McpSource", "parse_source", "read_mcp_tools"]
