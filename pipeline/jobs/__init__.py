"""Running jobs: a queue, worker processes, and what keeps both within the machine."""
