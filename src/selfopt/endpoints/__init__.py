"""Speaking to a model over HTTP, and asking its server what is loaded."""
