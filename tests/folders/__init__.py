"""Copies from store to store, and whole folders of models on several executors."""
