"""Searches the space of variants: what to ask next, and which point is best so far. Pure: it asks
no model and keeps nothing.
"""
