"""The embedded local engine: a catalogue of models, a store that pulls and verifies them, and a llama.cpp child for each."""
