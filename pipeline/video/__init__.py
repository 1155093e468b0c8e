"""Reading and writing video files; the only package that imports av.

Frames that are read are upright, deinterlaced, with square pixels, as full-range BT.709 RGB, however they
were coded; frames to write are RGB or RGBA. Every pts counts ticks of `Clip.time_base` from the clip's first
frame, whose pts is 0.
"""

import os

# SVT-AV1 logs to standard error by default.
os.environ.setdefault("SVT_LOG", "0")
