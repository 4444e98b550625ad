"""Warnings about suites."""
