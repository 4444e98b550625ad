"""Makes prompts for the tools that a user has: what a writer is asked, what its replies hold, which of it is
kept, and the suite that is made of it. Asks nobody.
"""
