"""Turns facts into English. Only this room makes the sentences that people read."""
