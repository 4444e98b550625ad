"""The composition root: builds endpoints, engine, ledger and gateway from the settings."""
