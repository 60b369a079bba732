"""Measurements: run by hand, each beside a baseline of the same minute; never a test."""
