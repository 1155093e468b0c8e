"""Webhooks at the API."""
