"""Pictures made of words, by pipelines of diffusers (`requirements-generate.txt`).

A job's `Words` become a picture file, which from then on is a background as any other. Words never leave this
machine: pipelines are loaded from local files alone, of safetensors and JSON, without code of their own.
"""
