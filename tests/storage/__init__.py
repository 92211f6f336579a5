"""Bytes at URLs: the same contract for every store."""
