"""REST API below `/api/v1`: what the page does, for programs."""
