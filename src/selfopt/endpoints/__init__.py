"""Sends requests to models over HTTP, and asks their servers which models are loaded."""
