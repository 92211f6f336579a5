"""Exports, and the runtimes that predict with them."""
