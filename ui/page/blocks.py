"""The page: every section is rendered, then every section is wired."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import gradio as gr
from fastapi import FastAPI
from gradio.routes import file_upload_statuses
from gradio.utils import get_upload_folder

from db.errors import NotFound
from ui import text
from ui.page import scripts, stage
from ui.page.context import Page
from ui.page.handlers import Updates, language_of, with_error_toasts
from ui.page.sections import background, edges, preview, result, sessions, subject, video
from ui.sessions.merging import Conflict
from ui.sessions.service import SessionService
from ui.visitor import user_name_of

_PAGES_REMEMBERED = 200
_THREADS = 32
"""For the page's events; of 40, Gradio makes none of its own."""

UPLOAD_PROGRESS = file_upload_statuses
"""Bytes received of each upload, which Gradio's page asks for while it uploads."""

upload_folder = get_upload_folder
"""Returns the folder in which Gradio accepts uploaded files."""

ASSETS = Path(__file__).resolve().parents[2] / "assets"

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

# Ours by keys that Gradio does not use: it has a "video" of its own, for one. Two of its own are told anew.
_KEY = "recorte_{}"
_PARTS = ("video", "subject", "background", "result")
_HEADING = _KEY.format("heading_{}")
_GRADIOS = {"upload_text.drop_file": "drop", "upload_text.click_to_upload": "browse"}
I18N = gr.I18n(
    **{
        code: {_KEY.format(key): said for key, said in words.items()}
        | {theirs: words[ours] for theirs, ours in _GRADIOS.items()}
        | {_HEADING.format(part): f"## {words[part]}" for part in _PARTS}
        for code, words in text.PAGE.items()
    }
)


def say(key: str) -> Any:
    """A word that the browser puts in its own language."""
    return I18N(_KEY.format(key))


# The address names the session on the stage, so that a reload and a bookmark find it again.
_ADDRESS = """(id) => {
  const url = new URL(window.location);
  if (id) url.searchParams.set("session", id); else url.searchParams.delete("session");
  window.history.replaceState(null, "", url);
}"""


def _script(name: str, **constants: Any) -> str:
    """Return an element that runs a script of the page in a scope of its own, after its constants."""
    return f"<script>{{\n{scripts.script(name, **constants)}}}</script>"


STREAMS = _script("streams.js")


# Gradio writes seconds and "Error" over what an event is to change; the page says itself how things stand.
# Not in page.css, which Gradio puts in only after it may have drawn the first of them.
_NO_STATUS = '<style>.gradio-container .wrap[data-testid="status-tracker"] { display: none; }</style>'


def _head(upload_bytes: int) -> str:
    return (
        _NO_STATUS
        + STREAMS
        + _script("uploads.js", WORDS=text.UPLOAD)
        + _script("files.js", WORDS=text.FILES, MOST=upload_bytes)
        + _script("controls.js")
    )


# For screen readers and hyphenation; Gradio's page always says "en".
_LANGUAGE = f"""() => {{
  const code = navigator.language.toLowerCase().split("-")[0];
  document.documentElement.lang = {sorted(text.PAGE)}.includes(code) ? code : "en";
}}"""


# Who is signed in may sign out: a form of its own, for what changes something is no link.
_ACCOUNT = f"""() => {{
  const name = window.gradio_config?.username, brand = document.getElementById("brand");
  if (!name || !brand) return;
  const said = {json.dumps({code: words["sign_out"] for code, words in text.ACCESS.items()})};
  const form = document.createElement("form"), who = document.createElement("span");
  const out = document.createElement("button");
  form.method = "post"; form.action = "/logout"; form.id = "account";
  who.textContent = name;
  out.textContent = said[document.documentElement.lang] ?? said.en;
  form.append(who, out);
  brand.append(form);
}}"""


def mount(server: FastAPI, actions: SessionService, upload_bytes: int) -> None:
    """Mount the page at the root of a FastAPI server; `upload_bytes` is the largest upload."""
    blocks = build(actions)
    with blocks:
        blocks.load(None, None, None, js=_ACCOUNT, show_progress="hidden")
    # Gradio keeps 0.3 MiB for each page that is opened, for ten thousand of them. Of older ones it forgets
    # how components differ from those of a page that was just opened; what values they take is the same.
    blocks.state_session_capacity = _PAGES_REMEMBERED
    # Else its events run in the threads that the whole server shares.
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
        js=_LANGUAGE,
        head=_head(upload_bytes),
    )
    # Gradio holds files that an event names to its own folder only once it was launched, which a mounted one
    # never is.
    blocks.has_launched = True


def build(actions: SessionService) -> gr.Blocks:
    with gr.Blocks(title="Recorte", fill_width=True, analytics_enabled=False) as blocks:
        page = _render(actions)
        for section in (video, subject, background, edges, preview, result, sessions):
            section.wire(page)
        _wire(page, blocks)
    # Gradio would let one visitor at a time upload, preview or watch a run.
    blocks.queue(default_concurrency_limit=16, api_open=False)
    return cast(gr.Blocks, blocks)


def _render(actions: SessionService) -> Page:
    # In the browser and not in gr.State: it outlives the server, and the page's address follows it.
    current = gr.Textbox("", visible="hidden", elem_id="current")
    timer = gr.Timer(0.7, active=False)
    gr.HTML('<h1 class="brand">Recorte</h1>', elem_id="brand", padding=False)
    with gr.Tabs(selected="cut") as tabs:
        with gr.Tab(say("tab_cut"), id="cut") as cut_tab, gr.Row(elem_id="desk"):
            with gr.Column(scale=3, min_width=320, elem_id="picture-side"):
                drop, dropped, sample = video.render_drop(say)
                with gr.Column(visible=False) as editor:
                    picture = stage.create_stage()
                    previews = preview.render(say)
            with gr.Column(scale=1, min_width=320, visible=False, elem_id="side") as side:
                with _group("video"):
                    name, facts, another = video.render_facts(say)
                with _group("subject"):
                    subjects = subject.render(say)
                with _group("background"):
                    backgrounds = background.render(say)
                    edging = edges.render(say)
                with _group("result"):
                    results = result.render(say)
        with gr.Tab(say("tab_sessions"), id="sessions") as sessions_tab:
            listed = sessions.render(say)
    return Page(
        actions=actions,
        current=current,
        stage=picture,
        editor=editor,
        side=side,
        tabs=tabs,
        cut_tab=cut_tab,
        sessions_tab=sessions_tab,
        timer=timer,
        video=video.Section(drop, dropped, sample, name, facts, another),
        subject=subjects,
        background=backgrounds,
        edges=edging,
        result=results,
        preview=previews,
        sessions=listed,
    )


def _group(name: str) -> Any:
    group = gr.Column(elem_classes="part", elem_id=f"part-{name}")
    with group:
        gr.Markdown(I18N(_HEADING.format(name)), elem_classes="heading")
    return group


def _clash(clash: Conflict, language: str) -> str:
    """Return the sentence about something that two windows have both changed."""
    if clash.object is None:
        return text.translate(language, "clash_range")
    if clash.time is None:
        return text.translate(language, "clash_object", number=clash.object)
    return text.translate(language, "clash_frame", time=text.format_duration(clash.time))


def _wire(page: Page, blocks: gr.Blocks) -> None:
    @with_error_toasts
    def arrive(request: gr.Request) -> Updates:
        mine = page.mine(request)
        id = request.query_params.get("session") or mine.find_unfinished()
        if id is None:
            return page.nothing()
        try:
            return page.show(mine.open(id), language_of(request))
        except NotFound:
            gr.Info(text.translate(language_of(request), "gone"))
            return page.nothing()

    @with_error_toasts
    def mark(value: dict[str, Any], id: str, request: gr.Request) -> Updates:
        if not id:
            return {page.stage: None}
        tongue = language_of(request)
        found, clashes = page.mine(request).choices.edit(id, value, value.get("base"))
        message = " ".join(_clash(clash, tongue) for clash in clashes[:2]) or None
        return {
            page.stage: page.on_stage(found, edit=value, message=message),
            **subject.show(page.subject, page.actions, found, tongue),
            **preview.show(page.preview, page.actions.frames, found, tongue),
            page.result.downloads: result.downloads(found, tongue),
        }

    @with_error_toasts
    def follow(id: str, request: gr.Request) -> Updates:
        """Another window has changed the session."""
        try:
            return page.show(page.mine(request).open(id), language_of(request))
        except NotFound:
            gr.Info(text.translate(language_of(request), "gone"))
            return page.nothing()

    arrived = blocks.load(arrive, None, page.shown, show_progress="hidden")
    # Also where nothing came of it: an address that names no session is not kept.
    arrived.then(None, page.current, None, js=_ADDRESS, show_progress="hidden")
    page.stage.tick(follow, page.current, page.shown, show_progress="hidden")
    page.current.change(None, page.current, None, js=_ADDRESS)
    stage.on_edit(
        page.stage,
        mark,
        inputs=[page.current],
        outputs=[*vars(page.subject).values(), *vars(page.preview).values(), page.result.downloads],
    )
