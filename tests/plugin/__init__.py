"""`pytest --selfopt-suite`, in projects of their own."""
