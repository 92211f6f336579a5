"""Servers that stumble, stall and lie."""
