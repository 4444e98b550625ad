"""What selfopt can do. The command line, the Python API and the scripts call only this room."""
