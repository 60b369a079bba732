"""Reactions to announcements."""
