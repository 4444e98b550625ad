"""Tests of selfopt.web."""
