"""The empty page: what it is for, the area to drop a clip on, clips to try, and files dropped elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import gradio as gr

from pipeline.compositing.background import Fit
from ui import text
from ui.addresses import MEDIA_PREFIX
from ui.page import scripts
from ui.page.context import Context, EditorSection
from ui.page.file_types import CLIP_FILE_TYPES, is_still_picture
from ui.page.handlers import (
    UPLOAD_HANDLED_JS,
    UPLOAD_OPTIONS,
    Updates,
    language_of,
    no_change,
    take_upload,
    with_error_toasts,
)
from ui.page.i18n import localized, localized_heading
from ui.sessions.library import examples
from ui.sessions.limits.upload_limits import UploadLimits
from ui.sessions.service import SessionService
from ui.sessions.session import Session

_SHOW = """
<figure>
  <video data-part="video" loop playsinline muted preload="metadata" width="640" height="360"></video>
  <figcaption><span data-part="before"></span><span data-part="after"></span></figcaption>
  <button type="button" data-part="pause"></button>
</figure>
"""
_EXAMPLES = """
<h3 data-part="heading"></h3>
<div class="examples" data-part="examples"></div>
<dl data-part="facts"></dl>
"""


@dataclass(frozen=True)
class UploadSection(EditorSection):
    drop: gr.File
    dropped: gr.File
    """Takes what is dropped or pasted anywhere else on the page."""
    sample: gr.Button
    lead: gr.Markdown
    show_case: gr.HTML
    """The sample before and after, moving."""
    examples: gr.HTML
    """Clips to try, and what goes in and comes out."""

    @classmethod
    def render(cls, limits: UploadLimits | None = None) -> Self:
        """Create the components; `limits` are those that the page tells of, None for none."""
        limits = limits or UploadLimits()
        value = {
            "files": f"{MEDIA_PREFIX}/examples",
            "names": list(examples.NAMES),
            "limits": {"bytes": limits.upload_bytes, "seconds": limits.seconds, "pixels": limits.pixels},
        }
        options: dict[str, Any] = {
            "value": value,
            # Not a property: an update such as `gr.HTML(visible=False)` makes Gradio drop those.
            "js_on_load": scripts.script("welcome.js", WORDS=text.WELCOME),
            "apply_default_css": False,
            "padding": False,
        }
        lead = gr.Markdown(localized_heading("lead"), elem_id="lead")
        with gr.Row(elem_id="welcome"):
            with gr.Column(elem_id="welcome-drop", min_width=280):
                drop = gr.File(
                    label=localized("drop"),
                    show_label=False,
                    file_types=CLIP_FILE_TYPES,
                    file_count="single",
                    type="filepath",
                    elem_id="drop",
                )
                sample = gr.Button(localized("sample"), elem_id="sample")
            show_case = gr.HTML(html_template=_SHOW, elem_id="show", min_width=280, **options)
        return cls(
            drop=drop,
            dropped=gr.File(file_count="single", type="filepath", visible="hidden", elem_id="dropped"),
            sample=sample,
            lead=lead,
            show_case=show_case,
            examples=gr.HTML(html_template=_EXAMPLES, elem_id="examples", **options),
        )

    def show(self, session: Session, service: SessionService, language: str) -> Updates:
        return {
            self.drop: gr.File(value=None, visible=False),
            self.dropped: None,
            self.sample: gr.Button(visible=False),
            self.lead: gr.Markdown(visible=False),
            self.show_case: gr.HTML(visible=False),
            self.examples: gr.HTML(visible=False),
        }

    @property
    def cleared(self) -> list[Any]:
        return [self.drop, self.sample, self.lead, self.show_case, self.examples]

    def clear(self) -> Updates:
        # The value of `drop` is not changed: an upload may have been made before the page's load event ends.
        return {
            self.drop: gr.File(visible=True),
            self.sample: gr.Button(visible=True),
            self.lead: gr.Markdown(visible=True),
            self.show_case: gr.HTML(visible=True),
            self.examples: gr.HTML(visible=True),
        }

    def wire(self, context: Context) -> None:
        @with_error_toasts
        def upload(file: str | None, request: gr.Request) -> Updates:
            if file is None:  # it was cancelled
                return no_change()
            with take_upload(file) as path:
                service = context.service_for(request)
                session = service.open(service.create(path, path.name))
                return context.show(session, language_of(request))

        @with_error_toasts
        def drop(id: str, fit: Fit, file: str | None, request: gr.Request) -> Updates:
            """Take a picture as the session's background, and any other file as a new video."""
            if file is None:
                return no_change()
            with take_upload(file) as path:
                service = context.service_for(request)
                if id and is_still_picture(path):
                    session = service.choices.choose_picture(id, path, path.name, fit)
                else:
                    session = service.open(service.create(path, path.name))
                shown = context.show(session, language_of(request))
                return {context.tabs: gr.Tabs(selected="cut"), **shown}

        @with_error_toasts
        def sample(request: gr.Request) -> Updates:
            service = context.service_for(request)
            return context.show(service.open(service.create_sample()), language_of(request))

        @with_error_toasts
        def example(request: gr.Request, event: gr.EventData) -> Updates:
            service = context.service_for(request)
            return context.show(service.open(service.create_example(str(event.name))), language_of(request))

        uploaded = self.drop.upload(upload, self.drop, context.shown, **UPLOAD_OPTIONS)
        uploaded.failure(None, None, self.drop, js="() => null")  # ready for another one
        uploaded.then(None, None, None, js=UPLOAD_HANDLED_JS)
        dropped = self.dropped.upload(
            drop,
            [context.current, context.fit, self.dropped],
            [context.tabs, *context.shown],
            **UPLOAD_OPTIONS,
        )
        dropped.failure(None, None, self.dropped, js="() => null")
        dropped.then(None, None, None, js=UPLOAD_HANDLED_JS)
        self.sample.click(None, None, None, js="() => window.recorte.reading('sample.mp4')")
        sampled = self.sample.click(sample, None, context.shown, show_progress="hidden")
        sampled.then(None, None, None, js=UPLOAD_HANDLED_JS)
        tried = self.examples.select(example, None, context.shown, show_progress="hidden")
        tried.then(None, None, None, js=UPLOAD_HANDLED_JS)
