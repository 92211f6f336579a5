"""Tests of lazy weights: from a range of bytes to an array, on every store."""
