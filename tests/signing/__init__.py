"""Signatures in the OpenSSF model-signing format."""
