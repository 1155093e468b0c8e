"""The sections of the page, one file each.

`render()` places a section's components and returns them; `wire(page, ...)` attaches their events once every
section stands. An event's handler returns `{component: value}`.
"""
