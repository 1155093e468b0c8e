"""Conversion of images to frames in an encoder's pixel format."""

import numpy as np
import pytest

from pipeline.video.writing.encoder_frames import FrameConverter


@pytest.mark.parametrize("level", [0, 0x4000, 0x8000, 0xFF00, 0xFFFF])
@pytest.mark.parametrize("pixels", ["yuv420p10le", "yuv444p10le", "yuva444p10le"])
def test_greys_of_16_bits_become_the_luma_of_the_standard(pixels: str, level: int) -> None:
    image = np.full((64, 64, 4 if "a" in pixels else 3), level, np.uint16)
    luma = FrameConverter(pixels)(image).planes[0]
    samples = np.frombuffer(memoryview(luma), np.uint16)
    # ITU-R BT.709: black at 64 and white at 940 of 10 bits.
    assert abs(int(samples[0]) - (64 + 876 * level / 0xFFFF)) <= 0.51
    assert samples.min() == samples.max()


def test_alpha_of_16_bits_keeps_its_whole_range() -> None:
    image = np.full((64, 64, 4), 0xFFFF, np.uint16)
    alpha = FrameConverter("yuva444p10le")(image).planes[3]
    assert int(np.frombuffer(memoryview(alpha), np.uint16).min()) == 1023
