"""Pictures of a session: asked for in the server, rendered in the worker process."""
