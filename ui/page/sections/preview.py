"""Preview: six frames as they will look, beside the originals."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote

import gradio as gr

from ui import text
from ui.addresses import media_address
from ui.page import markup
from ui.page.context import Context, EditorSection
from ui.page.handlers import Updates, error_toast, language_of, with_error_toasts
from ui.page.i18n import localized
from ui.sessions.rendering.frames import FrameClient
from ui.sessions.rendering.protocol import PREVIEWS
from ui.sessions.service import SessionService
from ui.sessions.session import Session


@dataclass(frozen=True)
class PreviewSection(EditorSection):
    make: gr.Button
    gallery: gr.HTML

    @classmethod
    def render(cls) -> Self:
        return cls(
            make=gr.Button(localized("preview"), size="md", elem_id="preview"),
            gallery=gr.HTML(elem_id="gallery", padding=False),
        )

    def show(self, session: Session, service: SessionService, language: str) -> Updates:
        """Show the previews that are cached for the session as it is."""
        if session.clip.is_picture:  # the stage shows its only frame
            return {self.gallery: gr.HTML("", visible=False), self.make: gr.Button(visible=False)}
        cached = service.frames.cached_previews(session)
        gallery = _gallery(service.frames, session, cached, language)
        return {self.gallery: gallery, self.make: gr.Button(visible=True)}

    def wire(self, context: Context) -> None:
        frames = context.service.frames

        @with_error_toasts
        def make(id: str, request: gr.Request) -> Iterator[Updates]:
            language = language_of(request)
            session = context.service_for(request).open(id)
            if session.awaited_background:
                raise error_toast(request, f"{session.awaited_background}_first")
            yield {self.gallery: _gallery(frames, session, [], language, making=True)}
            numbers: list[int] = []
            for numbers in frames.make_previews(session):
                yield {self.gallery: _gallery(frames, session, numbers, language, making=True)}
            yield {self.gallery: _gallery(frames, session, numbers, language)}

        self.make.click(make, context.current, [self.gallery], show_progress="hidden")


def _gallery(
    frames: FrameClient, session: Session, numbers: list[int], language: str, making: bool = False
) -> gr.HTML:
    """Return the frames with these numbers, each beside its original; `making`: more are to come.

    The others have places, which `assets/stage/drawing/preview-row.js` fills once their frames are cut.
    With a crop, it shows what lies in the window.
    """
    revision = frames.revision(session)
    quoted = quote(revision, safe="")
    times = frames.frame_times(session)
    size = markup.frame_size(session)
    original = text.translate(language, "original")
    thumbnails = []
    for number in sorted({*frames.preview_frames(session), *numbers}):
        time = text.format_duration(times[number], language)
        name = f"{original}, {time}"
        address = f"{media_address(session.id)}/frames/{number}"
        over, plain = f"{address}?view=over&amp;rev={quoted}", f"{address}?view=original"
        if number in numbers:
            thumbnails.append(
                f'<figure data-frame="{number}">'
                f'<span class="framed"><img src="{over}" {size} alt="{time}"></span>'
                f'<span class="framed"><img src="{plain}" {size} alt="{name}"></span>'
                f"<figcaption>{time}</figcaption></figure>"
            )
        else:
            thumbnails.append(
                f'<div class="awaited" data-frame="{number}" data-rev="{html.escape(revision)}" '
                f'data-over="{over}" data-original="{plain}" data-time="{time}" data-name="{name}" '
                f'style="--ratio: {2 * session.clip.width} / {session.clip.height}">'
                f"<span>{html.escape(text.STAGE[language]['uncut'])}</span><span>{time}</span></div>"
            )
    status = ""
    if making:
        status = markup.status(text.translate(language, "previewing", done=len(numbers), total=PREVIEWS))
    classes = "previews tall" if session.clip.height > session.clip.width else "previews"
    return gr.HTML(f'{status}<div class="{classes}">{"".join(thumbnails)}</div>', visible=True)
