"""The Gradio page, and nothing else."""
