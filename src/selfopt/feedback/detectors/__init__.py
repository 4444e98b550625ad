"""The detectors, one a file: each finds one sort of cause."""
