"""Structure from motion: engines with one result type."""
