"""What the command line's exit codes mean."""

__all__ = ["FAILED", "INTEGRITY", "INTERRUPTED", "NOT_FOUND", "OK", "USAGE"]

OK, FAILED, USAGE, NOT_FOUND, INTEGRITY = range(5)

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""
