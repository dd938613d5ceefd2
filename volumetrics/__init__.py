"""Surface and toe polygons in, volumes with an honest ± out."""

__version__ = "0.1.0"
