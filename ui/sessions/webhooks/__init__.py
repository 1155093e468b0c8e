"""Webhooks: addresses of users that are told when a run has ended."""
