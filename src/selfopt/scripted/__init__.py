"""A scripted endpoint to practise on: in this process, or as a server on this machine."""
