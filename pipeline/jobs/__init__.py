"""Running of jobs: queue, worker processes, and limits on resources."""
