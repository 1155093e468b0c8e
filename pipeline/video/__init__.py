"""Reading and writing video files; the only package that imports av.

Frames leave here upright, whole, in square pixels, as full-range RGB for a screen of BT.709, however they
were coded; they arrive here as RGB or RGBA. Every pts is counted in ticks of `Clip.time_base` from the
clip's first frame, so 0 is the first picture.
"""

from pipeline.video.hardware import accelerates, any_accelerates
from pipeline.video.output import Output, create
from pipeline.video.probing import probe
from pipeline.video.reading import Frame, read, read_backward
from pipeline.video.scanning import Index
from pipeline.video.schedule import Shape
from pipeline.video.sound import Heard
from pipeline.video.source import metadata
from pipeline.video.times import index, keep_index
from pipeline.video.whole import replacing
from pipeline.video.writing import Writer

__all__ = [
    "Frame",
    "Heard",
    "Index",
    "Output",
    "Shape",
    "Writer",
    "accelerates",
    "any_accelerates",
    "create",
    "index",
    "keep_index",
    "metadata",
    "probe",
    "read",
    "read_backward",
    "replacing",
]
