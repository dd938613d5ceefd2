"""Photos in, surface out: from a drone flight to a survey folder of standard files."""

__version__ = "0.1.0"
