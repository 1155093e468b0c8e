"""The page: every section is rendered, then every section is wired."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import gradio as gr

from db.errors import NotFound
from ui import stage, text
from ui.actions import Actions
from ui.events import Updates, language, told
from ui.page import Page
from ui.sections import background, preview, result, sessions, subject, video

ASSETS = Path(__file__).resolve().parent.parent / "assets"
CSS = ASSETS / "page.css"

# System fonts and neutral greys: nothing from another host, and colours on the stage are judged rightly.
_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
THEME = gr.themes.Default(
    primary_hue=gr.themes.colors.blue,
    neutral_hue=gr.themes.colors.neutral,
    font=_FONTS,
    font_mono=["ui-monospace", "Consolas", "monospace"],
    spacing_size="md",
    radius_size="sm",
)

# Gradio has words of its own under plain keys such as "video".
_KEY = "recorte_{}"
I18N = gr.I18n(
    **{code: {_KEY.format(key): said for key, said in words.items()} for code, words in text.PAGE.items()}
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


def build(actions: Actions) -> gr.Blocks:
    with gr.Blocks(title="Recorte", fill_width=True, analytics_enabled=False) as blocks:
        page = _render(actions)
        for section in (video, subject, background, preview, result, sessions):
            section.wire(page)
        _wire(page, blocks)
    return cast(gr.Blocks, blocks)


def _render(actions: Actions) -> Page:
    # In the browser and not in gr.State: it outlives the server, and the page's address follows it.
    current = gr.Textbox("", visible="hidden", elem_id="current")
    timer = gr.Timer(0.7, active=False)
    gr.HTML('<h1 class="brand">Recorte</h1>', elem_id="brand")
    with gr.Tabs(selected="cut") as tabs:
        with gr.Tab(say("tab_cut"), id="cut"), gr.Row(elem_id="desk"):
            with gr.Column(scale=3, min_width=320, elem_id="picture-side"):
                drop, sample = video.render_drop(say)
                with gr.Column(visible=False) as editor:
                    picture = stage.stage()
                    previews = preview.render(say)
            with gr.Column(scale=1, min_width=320, visible=False, elem_id="side") as side:
                with _group("video"):
                    facts, another = video.render_facts(say)
                with _group("subject"):
                    subjects = subject.render(say)
                with _group("background"):
                    backgrounds = background.render(say)
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
        sessions_tab=sessions_tab,
        timer=timer,
        video=video.Section(drop, sample, facts, another),
        subject=subjects,
        background=backgrounds,
        result=results,
        preview=previews,
        sessions=listed,
    )


def _group(name: str) -> Any:
    group = gr.Column(elem_classes="group", elem_id=f"group-{name}")
    with group:
        gr.Markdown(say(name), elem_classes="heading")
    return group


def _wire(page: Page, blocks: gr.Blocks) -> None:
    @told
    def arrive(request: gr.Request) -> Updates:
        id = request.query_params.get("session") or page.actions.unfinished()
        if id is None:
            return page.nothing()
        try:
            return page.show(page.actions.open(id), language(request))
        except NotFound:
            gr.Info(text.say(language(request), "gone"))
            return page.nothing()

    @told
    def mark(value: dict[str, Any], id: str, request: gr.Request) -> Updates:
        if not id:
            return {page.stage: None}
        found = page.actions.mark(id, value.get("prompts"))
        tongue = language(request)
        return {
            page.stage: page.on_stage(found, edit=value),
            **subject.show(page.subject, found, tongue),
            **preview.show(page.preview, page.actions, found, tongue),
        }

    blocks.load(arrive, None, page.shown, show_progress="hidden")
    page.current.change(None, page.current, None, js=_ADDRESS)
    stage.on_edit(
        page.stage,
        mark,
        inputs=[page.current],
        outputs=[*vars(page.subject).values(), *vars(page.preview).values()],
    )
