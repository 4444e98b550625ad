"""The forms of a request and its reply on the wire, one dialect a file."""
