"""The embedded local engine: pulls and verifies models, and runs each in a llama.cpp child."""
