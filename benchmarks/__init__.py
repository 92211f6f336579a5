"""Measure remote_models against what people use instead, side by side; see README.md."""
