"""Number of frames coded in a packet of MPEG-4 Visual (ISO/IEC 14496-2): DivX packs two into one."""

from __future__ import annotations

import re

_LAYER = re.compile(rb"\x00\x00\x01[\x20-\x2f]")
_PICTURE = b"\0\0\1\xb6"
# Bytes of a frame header that are parsed: one bit for each second since the frame before, and a few more.
_HEAD_BYTES = 64
# Largest width of vop_time_increment of a rectangular layer, in bits.
_INCREMENT_BITS = 16


class VopCounter:
    """Counter of coded frames (VOPs) in packets, which may carry a header for the packets after them."""

    def __init__(self, header: bytes | None) -> None:
        self._increment = _INCREMENT_BITS
        """Bits of vop_time_increment."""
        self._read_layer(header or b"")

    def count(self, data: bytes) -> int:
        """Count the frames in a packet, without those that only repeat the one before."""
        self._read_layer(data)
        count, at = 0, data.find(_PICTURE)
        while at >= 0:
            count += self._is_coded(data[at + 4 : at + 4 + _HEAD_BYTES])
            at = data.find(_PICTURE, at + 4)
        return count

    def _read_layer(self, data: bytes) -> None:
        layer = _LAYER.search(data)
        if layer is None:
            return
        bits = _Bits(data[layer.end() : layer.end() + _HEAD_BYTES])
        bits.take(9)  # random_accessible_vol, video_object_type_indication
        if bits.take(1):  # is_object_layer_identifier
            bits.take(7)
        if bits.take(4) == 15:  # aspect_ratio_info: extended
            bits.take(16)
        # vol_control_parameters: chroma_format, low_delay, vbv_parameters
        if bits.take(1) and bits.take(4) & 1:
            bits.take(79)
        bits.take(3)  # video_object_layer_shape, marker
        self._increment = max(1, (max(1, bits.take(16)) - 1).bit_length())

    def _is_coded(self, data: bytes) -> bool:
        """Return vop_coded of a frame."""
        bits = _Bits(data)
        bits.take(2)  # vop_coding_type
        while bits.take(1):  # modulo_time_base
            pass
        bits.take(1 + self._increment + 1)  # marker, vop_time_increment, marker
        return bool(bits.take(1))


class _Bits:
    """Bit reader; reads zeros past the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        """Read the next `count` bits as an unsigned number."""
        self._left -= count
        shifted = self._value >> self._left if self._left >= 0 else self._value << -self._left
        return shifted & ((1 << count) - 1)
