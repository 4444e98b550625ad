"""Live traffic under the rules."""
