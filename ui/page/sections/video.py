"""The session's video: its name and its properties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import gradio as gr

from ui import text
from ui.page import markup
from ui.page.context import Context, EditorSection
from ui.page.handlers import Updates, with_error_toasts
from ui.page.i18n import localized, localized_heading
from ui.sessions.service import SessionService
from ui.sessions.session import Session


@dataclass(frozen=True)
class VideoSection(EditorSection):
    heading: gr.Markdown
    name: gr.Textbox
    facts: gr.HTML
    another: gr.Button

    @classmethod
    def render(cls) -> Self:
        return cls(
            heading=gr.Markdown(localized_heading("video"), elem_classes="heading"),
            name=gr.Textbox(
                label=localized("name"), show_label=False, container=False, max_lines=1, elem_id="name"
            ),
            facts=gr.HTML(elem_id="facts", padding=False),
            another=gr.Button(localized("another"), size="sm", elem_id="another"),
        )

    def show(self, session: Session, service: SessionService, language: str) -> Updates:
        clip = session.clip
        facts = text.translate(
            language,
            "facts_picture" if clip.is_picture else "facts",
            width=clip.width,
            height=clip.height,
            length=text.format_duration(clip.duration, language),
            rate=text.format_number(float(clip.rate), language, 2).rstrip("0").rstrip(".,"),
            sound=text.translate(language, "with_sound" if clip.sound else "without_sound"),
        )
        remarks = [text.translate(language, f"remark_{remark}", count=clip.mended) for remark in clip.remarks]
        heading = text.translate(language, "video_picture" if clip.is_picture else "video")
        return {
            self.heading: f"## {heading}",
            self.name: session.row.name,
            self.another: text.translate(language, "another_picture" if clip.is_picture else "another"),
            self.facts: "".join(markup.paragraph(sentence) for sentence in (facts, *remarks)),
        }

    def wire(self, context: Context) -> None:
        @with_error_toasts
        def rename(id: str, name: str, request: gr.Request) -> str:
            return context.service_for(request).rename(id, name).row.name

        self.another.click(context.clear, None, context.cleared, show_progress="hidden", api_name="nothing")
        self.name.blur(rename, [context.current, self.name], self.name, show_progress="hidden")
