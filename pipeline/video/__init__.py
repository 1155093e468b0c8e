"""Reading and writing video files; the only package that imports av.

Frames leave here upright, whole, in square pixels, as full-range RGB for a screen of BT.709, however they
were coded; they arrive here as RGB or RGBA. Every pts is counted in ticks of `Clip.time_base` from the
clip's first frame, so 0 is the first picture.
"""
