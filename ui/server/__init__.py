"""HTTP without Gradio: who may ask, what is sent and received, and how the server stands."""
