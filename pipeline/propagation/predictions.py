"""A frame of the clip together with the model's prediction for it."""

from __future__ import annotations

from pipeline.models import Prediction
from pipeline.video.reading.frames import Frame

FramePrediction = tuple[Frame, Prediction]
