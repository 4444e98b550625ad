"""What lies in `deploy/` for the builds of others, executed as they would."""
