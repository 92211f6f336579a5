"""Numbered versions: many writers, aliases, deletion, kills at every step."""
