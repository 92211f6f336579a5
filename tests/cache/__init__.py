"""Tests of the cache: files of models that were loaded before."""
