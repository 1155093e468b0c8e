"""Compositing of a frame on its device: the steps of `composite.Composer`, in the same order."""

from __future__ import annotations

import torch

from pipeline.arrays import DeviceImage, DeviceMatte, Matte, Pixels
from pipeline.compositing.backdrop import Backdrop, BlurBackdrop
from pipeline.compositing.device_foreground import estimate_foreground
from pipeline.compositing.edges import Edges
from pipeline.compositing.light import (
    UNSURVEYED,
    FrameLight,
    Light,
    cast_shadow,
    grid_size,
    join_shades,
    lay_over_shade,
)
from pipeline.tensors import compositing, transfer
from pipeline.tensors.edges import adjust_edges
from pipeline.video.reading.frames import DeviceFrame


class DeviceComposer:
    """Compositor of frames on a device; quickest if times ascend."""

    def __init__(self, backdrop: Backdrop | None, edges: Edges, light: Light) -> None:
        """Composite over `backdrop`; None: cut out the subject with alpha."""
        self._backdrop = backdrop
        self._edges = edges
        self._light = light
        self._uploaded: tuple[Pixels, DeviceImage] | None = None
        """The backdrop's picture on the host, and on the device."""

    def __call__(
        self, frame: DeviceFrame, matte: Matte, seconds: float, surveyed: FrameLight = UNSURVEYED
    ) -> DeviceImage:
        """Return `[3, H, W]` RGB, or `[4, H, W]` straight RGBA without a backdrop, of the frame's dtype.

        `matte` is `[H, W]` uint8 on the host; `surveyed` as for `composite.Composer`.
        """
        with torch.inference_mode():
            return self._compose(frame, matte, seconds, surveyed)

    def _compose(self, frame: DeviceFrame, matte: Matte, seconds: float, surveyed: FrameLight) -> DeviceImage:
        edges, light, device = self._edges, self._light, frame.tensor.device
        uploaded = transfer.upload_matte(matte, device)
        own = None if frame.alpha is None else transfer.upload_matte(frame.alpha, device)
        alpha = compositing.multiply_alpha(adjust_edges(uploaded, edges.grow, edges.feather), own)
        near = alpha if self._backdrop is not None else compositing.extend(alpha)
        subject = estimate_foreground(frame.tensor, uploaded, near, own) if edges.clean else frame.tensor
        if edges.despill != "none":
            subject = compositing.despill(subject, edges.despill)
        if surveyed.subject is not None:
            subject = compositing.recolour(subject, surveyed.subject)
        # A shadow is smooth, and drawn on the host on a small grid.
        drawn = None if light.shadow is None else cast_shadow(transfer.download(alpha), light.shadow)
        shade = join_shades(drawn, surveyed.shade)
        if self._backdrop is None:
            cut = compositing.cut_out(subject, alpha)
            if shade is None:
                return cut
            return transfer.upload_image(lay_over_shade(transfer.download_image(cut), shade), device)
        if isinstance(self._backdrop, BlurBackdrop):
            behind = _blur(frame.tensor, uploaded, own, self._backdrop.radius)
        else:
            behind = self._upload_backdrop(self._backdrop, frame, matte, seconds)
        if surveyed.behind is not None:
            behind = compositing.recolour(behind, surveyed.behind)
        if shade is not None:
            behind = compositing.darken(behind, transfer.upload_matte(shade, device))
        if light.wrap:
            subject = compositing.wrap_light(subject, alpha, behind, light.wrap, grid_size(matte.shape))
        return compositing.over(subject, alpha, behind)

    def _upload_backdrop(
        self, backdrop: Backdrop, frame: DeviceFrame, matte: Matte, seconds: float
    ) -> DeviceImage:
        """Return the background's picture on the device; one that stays the same is uploaded once."""
        image = frame.image if frame.image16 is None else frame.image16
        picture = backdrop.render(image, matte, seconds, frame.alpha)
        if self._uploaded is None or self._uploaded[0] is not picture:
            self._uploaded = picture, transfer.upload_image(picture, frame.tensor.device)
        return self._uploaded[1]


def _blur(image: DeviceImage, matte: DeviceMatte, own: DeviceMatte | None, radius: float) -> DeviceImage:
    """Return the image's own background, blurred."""
    if own is not None:
        image = compositing.remove_subject(image, matte, own)
        matte = compositing.multiply_alpha(matte, own)
    return compositing.blur_background(image, matte, radius)
