"""The sections of the page, one file and one class each; see `ui.page.context` for their base classes.

Sections do not import each other: what several of them need is in `ui.page`, and an event that changes
several of them is attached in `ui.page.blocks`. A handler returns `{component: value}`; its name is also the
name of its event in Gradio's API.
"""
