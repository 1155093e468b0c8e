"""The page as a whole: theme, scripts, layout, and the events that concern several sections."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, cast

import gradio as gr
from fastapi import FastAPI
from gradio.routes import file_upload_statuses
from gradio.utils import get_upload_folder

from db.errors import DatabaseAway, NotFound
from pipeline.weights.locate import cached_lookups
from ui import text
from ui.assets import ASSETS
from ui.page import scripts, stage
from ui.page.context import Context, EditorSection
from ui.page.handlers import Updates, language_of, with_error_toasts
from ui.page.i18n import I18N, localized, localized_heading
from ui.page.sections.background import BackgroundSection
from ui.page.sections.classes import ClassesSection
from ui.page.sections.edges import EdgesSection
from ui.page.sections.enlarging import BackgroundSizeSection, ResultSizeSection
from ui.page.sections.fine_edges import FineEdgesSection
from ui.page.sections.light import LightSection
from ui.page.sections.mask import MaskSection
from ui.page.sections.matte import MatteSection
from ui.page.sections.preview import PreviewSection
from ui.page.sections.proposals import ProposalsSection
from ui.page.sections.result import ResultSection
from ui.page.sections.sessions import SessionsSection
from ui.page.sections.subject import SubjectSection
from ui.page.sections.upload import UploadSection
from ui.page.sections.video import VideoSection
from ui.page.sections.words import WordsSection
from ui.sessions.merging import Conflict
from ui.sessions.service import SessionService
from ui.visitor import user_name_of

_MAX_REMEMBERED_PAGES = 200
_THREADS = 32
"""For the page's events; with 40, the default, Gradio uses the threads of the whole server."""

UPLOAD_PROGRESS = file_upload_statuses
"""Bytes received of each upload, which Gradio's page asks for while it uploads."""

upload_folder = get_upload_folder
"""Returns the folder in which Gradio accepts uploaded files."""


# System fonts and neutral greys: nothing from another host, and colours on the stage are judged rightly.
_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
THEME = gr.themes.Default(
    primary_hue=gr.themes.colors.blue,
    neutral_hue=gr.themes.colors.neutral,
    font=_FONTS,
    font_mono=["ui-monospace", "Consolas", "monospace"],
    spacing_size="md",
    radius_size="sm",
).set(
    # Gradio's own are too pale: these have the contrast that WCAG's AA asks for.
    body_text_color_subdued="*neutral_500",
    input_placeholder_color="*neutral_500",
    input_placeholder_color_dark="*neutral_400",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    error_text_color_dark="#fca5a5",
)

# Tell `assets/history.js` which session is on the page.
_CHANGED_JS = "(id) => window.recorte.place?.changed(id)"
_SETTLED_JS = "(id) => window.recorte.place?.settled(id)"


def _script(name: str, **constants: Any) -> str:
    """Return an element that runs a script of the page in a scope of its own, after its constants."""
    return f"<script>{{\n{scripts.script(name, **constants)}}}</script>"


STREAMS = _script("streams.js")

_LANGUAGES: dict[str, Any] = {
    "COOKIE": text.LANGUAGE_COOKIE,
    "WORDS": {
        code: {"name": locale.name, "language": locale.page["language"]}
        for code, locale in text.LOCALES.items()
    },
}
"""Constants of the script that chooses the page's language."""

_BRAND = """
<h1 class="brand">Recorte</h1>
<details id="languages"><summary></summary><ul></ul></details>
"""


# Hides the seconds and the "Error" that Gradio draws over an event's outputs: the page has its own status.
# Not in page.css, which Gradio adds only after it may have drawn the first of them.
_NO_STATUS = '<style>.gradio-container .wrap[data-testid="status-tracker"] { display: none; }</style>'


def _head(upload_bytes: int) -> str:
    """Return the page's part of `<head>`; `upload_bytes` is the largest upload."""
    return (
        _NO_STATUS
        + STREAMS
        + _script("uploads.js", WORDS=text.UPLOAD)
        + _script("files.js", WORDS=text.FILES, MOST=upload_bytes)
        + _script("controls.js")
        + _script("page-title.js")
    )


# Sets the document's language, for screen readers and hyphenation; Gradio's is always "en".
_LANGUAGE_JS = f"""() => {{
  const code = navigator.language.toLowerCase().split("-")[0];
  document.documentElement.lang = {sorted(text.PAGE)}.includes(code) ? code : "en";
}}"""


# Adds the user's name and a form to sign out; a form and no link, for it changes something.
_ACCOUNT_JS = f"""() => {{
  const name = window.gradio_config?.username, brand = document.getElementById("brand");
  if (!name || !brand) return;
  const said = {json.dumps({code: table["sign_out"] for code, table in text.ACCESS.items()})};
  const form = document.createElement("form"), who = document.createElement("span");
  const out = document.createElement("button");
  form.method = "post"; form.action = "/logout"; form.id = "account";
  who.textContent = name;
  out.textContent = said[document.documentElement.lang] ?? said.en;
  form.append(who, out);
  brand.append(form);
}}"""


def mount(server: FastAPI, service: SessionService, upload_bytes: int) -> None:
    """Mount the page at the root of a FastAPI server; `upload_bytes` is the largest upload."""
    blocks = build(service)
    with blocks:
        blocks.load(None, None, None, js=_ACCOUNT_JS, show_progress="hidden")
    # Gradio keeps 0.3 MiB for each open page, by default for ten thousand. Of older pages it forgets how
    # their components differ from those of a new page; the values that these accept are the same.
    blocks.state_session_capacity = _MAX_REMEMBERED_PAGES
    blocks.max_threads = _THREADS
    blocks.create_limiter()  # type: ignore[no-untyped-call]
    gr.mount_gradio_app(
        server,
        blocks,
        path="/",
        favicon_path=str(ASSETS / "icon.svg"),
        footer_links=[],
        run_history=False,
        auth_dependency=user_name_of,
        show_error=False,
        enable_monitoring=False,
        mcp_server=False,
        max_file_size=upload_bytes,
        ssr_mode=False,
        i18n=I18N,
        theme=THEME,
        css_paths=[ASSETS / "page.css"],
        js=_LANGUAGE_JS,
        head=_head(upload_bytes),
    )
    # Gradio restricts the files that an event names to its own folder only after a launch, and a mounted page
    # is never launched.
    blocks.has_launched = True


def build(service: SessionService) -> gr.Blocks:
    """Build the page: every section is rendered, then every section is wired."""
    with gr.Blocks(title="Recorte", fill_width=True, analytics_enabled=False) as blocks:
        context, sections = _render(service)
        for section in sections:
            section.wire(context)
        _wire(context, sections, blocks)
    # Gradio would let one visitor at a time upload, preview or watch a run.
    blocks.queue(default_concurrency_limit=16, api_open=False)
    return cast(gr.Blocks, blocks)


class _Sections(NamedTuple):
    """The sections, in the order in which they are wired."""

    upload: UploadSection
    video: VideoSection
    subject: SubjectSection
    classes: ClassesSection
    words: WordsSection
    mask: MaskSection
    matte: MatteSection
    fine_edges: FineEdgesSection
    background: BackgroundSection
    background_size: BackgroundSizeSection
    proposals: ProposalsSection
    edges: EdgesSection
    light: LightSection
    preview: PreviewSection
    result: ResultSection
    result_size: ResultSizeSection
    sessions: SessionsSection


def _render(service: SessionService) -> tuple[Context, _Sections]:
    # In the browser and not in gr.State: it outlives the server, and the page's address follows it.
    current = gr.Textbox("", visible="hidden", elem_id="current")
    places = gr.HTML(js_on_load=scripts.script("history.js"), visible="hidden", elem_id="places")
    timer = gr.Timer(0.7, active=False)
    languages = scripts.script("languages.js", **_LANGUAGES)
    gr.HTML(
        html_template=_BRAND, js_on_load=languages, apply_default_css=False, elem_id="brand", padding=False
    )
    with gr.Tabs(selected="cut") as tabs:
        with gr.Tab(localized("tab_cut"), id="cut") as cut_tab, gr.Row(elem_id="desk"):
            with gr.Column(scale=3, min_width=320, elem_id="picture-side"):
                upload = UploadSection.render(service.limits)
                with gr.Column(visible=False) as editor:
                    picture = stage.create_stage()
                    preview = PreviewSection.render()
            with gr.Column(scale=1, min_width=320, visible=False, elem_id="side") as side:
                with gr.Column(elem_classes="part", elem_id="part-video"):
                    video = VideoSection.render()
                with _group("subject"):
                    subject = SubjectSection.render()
                    classes = ClassesSection.render()
                    words = WordsSection.render()
                    matte = MatteSection.render()
                with _group("background"):
                    background = BackgroundSection.render()
                    background_size = BackgroundSizeSection.render()
                    proposals = ProposalsSection.render()
                    with gr.Accordion(localized("edges"), open=False, elem_id="edges", elem_classes="fold"):
                        fine_edges = FineEdgesSection.render()
                        edges = EdgesSection.render()
                        light = LightSection.render()
                        mask = MaskSection.render()
                with _group("result"):
                    result = ResultSection.render()
                    result_size = ResultSizeSection.render()
                with gr.Column(elem_id="action"):
                    result.render_actions()
        with gr.Tab(localized("tab_sessions"), id="sessions") as sessions_tab:
            sessions = SessionsSection.render()
    parts = _Sections(
        upload,
        video,
        subject,
        classes,
        words,
        mask,
        matte,
        fine_edges,
        background,
        background_size,
        proposals,
        edges,
        light,
        preview,
        result,
        result_size,
        sessions,
    )
    context = Context(
        service=service,
        current=current,
        places=places,
        stage=picture,
        editor=editor,
        side=side,
        tabs=tabs,
        cut_tab=cut_tab,
        sessions_tab=sessions_tab,
        timer=timer,
        fit=background.fit,
        sections=tuple(section for section in parts if isinstance(section, EditorSection)),
    )
    return context, parts


def _group(name: str) -> gr.Column:
    """Return a column of the side, under its heading."""
    group = gr.Column(elem_classes="part", elem_id=f"part-{name}")
    with group:
        gr.Markdown(localized_heading(name), elem_classes="heading")
    return group


def _wire(context: Context, sections: _Sections, blocks: gr.Blocks) -> None:
    """Attach the events of the page as a whole, and those that change several sections."""

    @with_error_toasts
    def arrive(request: gr.Request) -> Updates:
        service = context.service_for(request)
        id = request.query_params.get("session") or service.find_unfinished()
        return context.clear() if id is None else _open(context, id, request)

    @with_error_toasts
    def go_to(request: gr.Request, event: gr.EventData) -> Updates:
        """Show the session, or the empty page, that back or forward leads to."""
        id = str(event.id)
        shown = _open(context, id, request) if id else context.clear()
        return {context.tabs: gr.Tabs(selected="cut"), **shown}

    @with_error_toasts
    def follow(id: str, request: gr.Request) -> Updates:
        """Show a session again that another window has changed."""
        return _open(context, id, request)

    @with_error_toasts
    @cached_lookups()
    def mark(value: dict[str, Any], id: str, request: gr.Request) -> Updates:
        if not id:
            return {context.stage: None}
        language = language_of(request)
        service = context.service_for(request)
        session, conflicts = service.choices.edit(id, value, value.get("base"))
        message = " ".join(_describe_conflict(conflict, language) for conflict in conflicts[:2]) or None
        return {
            context.stage: stage.stage_value(session, service.frames, value, message),
            **sections.subject.show(session, service, language),
            **sections.preview.show(session, service, language),
            **sections.result.show_downloads(session, language),
        }

    @with_error_toasts
    def tick(id: str, request: gr.Request) -> Updates:
        service, language = context.service_for(request), language_of(request)
        try:
            session = service.open(id)
        except DatabaseAway as error:  # in place of the run's state, until the database is back
            return sections.result.show_failure(error, language)
        except NotFound:  # deleted meanwhile, from another window
            return context.clear()
        if session.running or context.is_downloading(session):
            weights = sections.subject.show_weights(session, service.downloads, language)
            for section in (sections.fine_edges, sections.background_size, sections.result_size):
                weights |= section.show_weights(session, service.downloads, language)
            weights |= sections.proposals.show_weights(service.downloads, language)
            weights |= sections.words.show_weights(service.downloads, language)
            return sections.result.show_run(session, service, language) | weights
        return context.show(session, language)

    arrived = blocks.load(arrive, None, context.shown, show_progress="hidden")
    # Also if no session was opened: the address of a session that does not exist is not kept.
    arrived.then(None, context.current, None, js=_SETTLED_JS, show_progress="hidden")
    opened = context.places.select(
        go_to, None, [context.tabs, *context.shown], show_progress="hidden", trigger_mode="multiple"
    )
    opened.then(None, context.current, None, js=_SETTLED_JS, show_progress="hidden")
    context.stage.tick(follow, context.current, context.shown, show_progress="hidden")
    context.current.change(None, context.current, None, js=_CHANGED_JS)
    # Not in Gradio's queue: a failed tick shows nothing, and the next one comes soon.
    context.timer.tick(tick, context.current, context.shown, show_progress="hidden", queue=False)
    stage.on_edit(
        context.stage,
        mark,
        inputs=[context.current],
        outputs=[
            *sections.subject.components,
            *sections.preview.components,
            sections.result.downloads,
        ],
    )


def _open(context: Context, id: str, request: gr.Request) -> Updates:
    """Show a session, or the empty page and a message if it does not exist."""
    language = language_of(request)
    try:
        return context.show(context.service_for(request).open(id), language)
    except NotFound:
        gr.Info(text.translate(language, "gone"))
        return context.clear()


def _describe_conflict(conflict: Conflict, language: str) -> str:
    """Return a sentence about something that two windows have both changed."""
    if conflict.object is None:
        return text.translate(language, "clash_range")
    if conflict.time is None:
        return text.translate(language, "clash_object", number=conflict.object)
    return text.translate(language, "clash_frame", time=text.format_duration(conflict.time))
