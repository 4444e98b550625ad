"""variants/parsers."""
