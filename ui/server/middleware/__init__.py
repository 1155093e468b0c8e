"""ASGI middleware: bounds on connections and bodies, hosts, access and headers."""
