"""Facts in English: the one room that makes the sentences which people read."""
