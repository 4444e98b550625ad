"""What selfopt can do, one noun a file: the only door for the command line, the Python API and the specification's scripts."""
