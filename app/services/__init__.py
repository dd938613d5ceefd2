"""Doing: each function is one transaction, with its line in the audit log."""
