"""Encoders and decoders of graphics cards, as far as they can be asked for without one."""

import pytest

from pipeline import devices, formats
from pipeline.video import hardware


def test_the_host_decodes_what_is_tried_on_cards() -> None:
    # FFmpeg's own decoder of AV1 is for cards only.
    assert set(hardware.list_decoders(None)) >= {"h264", "hevc", "vp9"}


@pytest.mark.skipif(devices.has_cuda_driver(), reason="there may be a card")
def test_without_a_card_nothing_is_decoded_or_encoded_on_one() -> None:
    assert hardware.list_decoders(0) == ()
    for key in ("mp4", "hevc", "av1"):
        accelerated = formats.by_key(key).accelerated
        assert not hardware.takes_card_frames(accelerated, "yuv420p", 640, 360, 0)
    assert not hardware.takes_card_frames(formats.by_key("mp4"), "yuv420p", 640, 360, 0)
