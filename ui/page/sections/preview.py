"""Six frames as they will look, beside the originals."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import gradio as gr

from ui import text
from ui.addresses import media_address
from ui.page.handlers import Translate, Updates, error_toast, language_of, with_error_toasts
from ui.sessions.frames import FrameClient
from ui.sessions.protocol import PREVIEWS
from ui.sessions.session import Session

if TYPE_CHECKING:
    from ui.page.context import Page


@dataclass(frozen=True)
class Section:
    make: gr.Button
    gallery: gr.HTML


def render(say: Translate) -> Section:
    return Section(
        make=gr.Button(say("preview"), size="md", elem_id="preview"),
        gallery=gr.HTML(elem_id="gallery", padding=False, visible=False),
    )


def show(section: Section, looks: FrameClient, found: Session, language: str) -> Updates:
    """The previews that are known for the session as it stands."""
    return {section.gallery: gallery(looks, found, looks.cached_previews(found), language)}


def gallery(
    looks: FrameClient, found: Session, numbers: list[int], language: str, waiting: bool = False
) -> gr.HTML:
    """The frames of these numbers, each beside its original."""
    rev = html.escape(looks.revision(found), quote=True).replace("#", "%23").replace("&amp;", "%26")
    times = looks.frame_times(found)
    size = f'width="{found.clip.width}" height="{found.clip.height}"'  # its place before it has come
    cards = []
    for number in numbers:
        at = text.format_duration(times[number], language)
        frame = f"{media_address(found.id)}/frames/{number}"
        cards.append(
            f'<figure><img src="{frame}?view=over&rev={rev}" {size} alt="{at}">'
            f'<img src="{frame}?view=original" {size} alt="{text.translate(language, "original")}, {at}">'
            f"<figcaption>{at}</figcaption></figure>"
        )
    state = ""
    if waiting:
        done = text.translate(language, "previewing", done=len(numbers), total=PREVIEWS)
        state = f'<p class="quiet" role="status">{done}</p>'
    shape = "previews tall" if found.clip.height > found.clip.width else "previews"
    return gr.HTML(f'{state}<div class="{shape}">{"".join(cards)}</div>', visible=bool(cards) or waiting)


def wire(page: Page) -> None:
    section, looks = page.preview, page.actions.frames

    @with_error_toasts
    def make(id: str, request: gr.Request) -> Iterator[Updates]:
        tongue = language_of(request)
        found = page.mine(request).open(id)
        if found.awaited_background:
            raise error_toast(request, f"{found.awaited_background}_first")
        yield {section.gallery: gallery(looks, found, [], tongue, waiting=True)}
        numbers: list[int] = []
        for numbers in looks.make_previews(found):
            yield {section.gallery: gallery(looks, found, numbers, tongue, waiting=True)}
        yield {section.gallery: gallery(looks, found, numbers, tongue)}

    section.make.click(make, page.current, [section.gallery], show_progress="hidden")
