"""Schemas of a result's looks, and the base of all schemas."""
