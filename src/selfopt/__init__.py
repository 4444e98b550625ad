"""selfopt: the self-optimizing harness for language models that call tools.

measure -> diagnose -> recommend -> decide -> enforce -> measure again
"""

__version__ = "0.1.0"
