"""Real services and packages, in an environment of their own (make test-services)."""
