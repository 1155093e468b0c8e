"""Backgrounds made of words: the field for words, the pictures that are proposed, one around the subject."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Self

import gradio as gr

from pipeline.compositing.background import LONGEST_WORDS, Fit, Picture
from pipeline.generation.cards import find_card, has_packages
from pipeline.generation.drawing import Step
from pipeline.generation.product import Facts
from ui import text
from ui.addresses import media_address
from ui.page import markup, scripts
from ui.page.context import Context, EditorSection
from ui.page.handlers import Updates, language_of, with_error_toasts
from ui.page.i18n import localized
from ui.page.weights_download import WeightsDownload
from ui.sessions.downloads import Downloads
from ui.sessions.library import drawn_backgrounds
from ui.sessions.library.word_backgrounds import PROPOSED, DrawingStopped
from ui.sessions.rendering.protocol import DrawingStep
from ui.sessions.service import SessionService
from ui.sessions.session import Session

_WORDS = {code: {"name": table["proposal"]} for code, table in text.PAGE.items()}


@dataclass(frozen=True)
class ProposalsSection(EditorSection):
    group: gr.Column
    words: gr.Textbox
    propose: gr.Button
    fill: gr.Button
    """Fills in the background around a picture's subject."""
    status: gr.HTML
    facts: gr.HTML
    """Facts of that subject."""
    cancel: gr.Button
    pictures: gr.HTML
    missing: gr.HTML
    weights: WeightsDownload

    @classmethod
    def render(cls) -> Self:
        with gr.Column(visible=False, elem_id="proposals") as group:
            with gr.Row(elem_id="proposal-words"):
                words = gr.Textbox(
                    label=localized("proposal_words"),
                    placeholder=localized("proposal_example"),
                    show_label=False,
                    container=False,
                    max_lines=3,
                    max_length=LONGEST_WORDS,
                    scale=3,
                    min_width=120,
                    elem_id="background-words",
                )
                propose = gr.Button(
                    localized("propose"), size="md", scale=1, min_width=108, elem_id="propose"
                )
            fill = gr.Button(localized("fill_around"), visible=False, size="md", elem_id="fill-around")
            status = gr.HTML(visible=False, padding=False, elem_id="drawing")
            facts = gr.HTML(visible=False, padding=False, elem_id="product-facts")
            cancel = gr.Button(localized("cancel"), visible=False, size="sm", elem_id="stop-drawing")
            pictures = gr.HTML(
                value=None,
                html_template='<div class="proposals" role="group"></div>',
                js_on_load=scripts.script("proposals.js", WORDS=_WORDS),
                apply_default_css=False,
                padding=False,
                visible=False,
                elem_id="proposed",
            )
            missing = gr.HTML(visible=False, padding=False, elem_id="drawing-missing")
            weights = WeightsDownload.render(
                download="download-drawing", fetching="fetching-drawing", stop="stop-fetching-drawing"
            )
        return cls(group, words, propose, fill, status, facts, cancel, pictures, missing, weights)

    def show(self, session: Session, service: SessionService, language: str) -> Updates:
        awaited = session.awaited_background
        chosen = awaited == "picture" or (awaited is None and isinstance(session.job.background, Picture))
        return {
            self.group: gr.Column(visible=chosen and has_packages()),
            self.fill: gr.Button(visible=session.clip.is_picture and find_card().helper.present),
            self.facts: _show_facts(drawn_backgrounds.read_facts(session.folder, session.job), language),
            self.pictures: _show_pictures(session),
            **self.show_weights(service.downloads, language),
        }

    def show_weights(self, downloads: Downloads, language: str) -> Updates:
        """Show the field where the network's weights are here, else what they are and their download."""
        helper = find_card().helper
        present = helper.present
        hint = text.translate(language, "proposal_missing", label=helper.label, licence=helper.licence)
        return {
            self.words: gr.Textbox(visible=present),
            self.propose: gr.Button(visible=present),
            self.missing: gr.HTML(markup.hint(hint), visible=not present),
            **self.weights.show(helper.key, downloads, language, missing=not present, offered=True),
        }

    def wire(self, context: Context) -> None:
        @with_error_toasts
        def propose(id: str, words: str, request: gr.Request) -> Iterator[Updates]:
            language = language_of(request)
            service = context.service_for(request)
            try:
                with closing(service.word_backgrounds.propose(id, words)) as steps:
                    for step in steps:
                        yield self._show_status(_describe(step, language))
            except Exception:
                yield self._show_status("")  # the error is a toast
                raise
            yield self._show_status("") | {self.pictures: _show_pictures(service.open(id))}

        @with_error_toasts
        def fill_around(id: str, words: str, request: gr.Request) -> Iterator[Updates]:
            language = language_of(request)
            service = context.service_for(request)
            try:
                with closing(service.word_backgrounds.fill(id, words)) as steps:
                    yield self._show_status(markup.status(text.translate(language, "starting")))
                    for step in steps:
                        if isinstance(step, Facts):
                            yield {self.facts: _show_facts(step, language)}
                        else:
                            yield self._show_status(_describe_filling(step, language))
            except DrawingStopped:
                pass  # what was there before is shown again
            except Exception:
                yield self._show_status("") | {self.facts: _show_facts(None, language)}
                raise
            yield context.show(service.open(id), language) | self._show_status("")

        @with_error_toasts
        def choose_proposal(id: str, picked: Any, fit: Fit, request: gr.Request) -> Updates:
            seed = picked.get("chosen") if isinstance(picked, dict) else None
            service = context.service_for(request)
            if not isinstance(seed, int):
                return context.show(service.open(id), language_of(request))
            return context.show(service.word_backgrounds.choose(id, seed, fit), language_of(request))

        @with_error_toasts
        def stop_drawing(id: str, request: gr.Request) -> None:
            context.service_for(request).word_backgrounds.cancel(id)

        outputs = [self.status, self.cancel, self.pictures]
        for event in (self.propose.click, self.words.submit):
            event(propose, [context.current, self.words], outputs, show_progress="hidden")
        self.fill.click(fill_around, [context.current, self.words], context.shown, show_progress="hidden")
        picked = [context.current, self.pictures, context.fit]
        self.pictures.input(choose_proposal, picked, context.shown, show_progress="hidden")
        self.cancel.click(stop_drawing, context.current, None, show_progress="hidden")
        self.weights.wire(context, lambda session: find_card().key)

    def _show_status(self, status: str) -> Updates:
        """Show how far a drawing is, as HTML, with the button that cancels it; empty: there is none."""
        return {
            self.status: gr.HTML(status, visible=bool(status)),
            self.cancel: gr.Button(visible=bool(status)),
        }


def _describe(step: DrawingStep, language: str) -> str:
    """Return how far the pictures are, as HTML."""
    said = text.translate(language, "drawing", done=step.drawn, total=step.pictures)
    done = step.drawn * step.total + step.done
    return markup.status(said) + markup.progress_bar(done, step.pictures * step.total)


def _describe_filling(step: Step, language: str) -> str:
    said = text.translate(language, "filling", done=step.done, total=step.total)
    return markup.status(said) + markup.progress_bar(step.done, step.total)


def _show_facts(facts: Facts | None, language: str) -> gr.HTML:
    """Show what the matte tells of the subject around which a background is filled in; None: nothing."""
    if facts is None:
        return gr.HTML(visible=False)
    share = max(1, round(facts.share * 100))
    said = [text.translate(language, f"subject_{facts.column}", share=share)]
    if facts.side != "none":
        said.append(text.translate(language, f"turned_{facts.side}"))
    if facts.white:
        said.append(text.translate(language, "white_already"))
    return gr.HTML(markup.paragraph(" ".join(said)), visible=True)


def _show_pictures(session: Session) -> gr.HTML:
    proposals = drawn_backgrounds.available(session.folder, session.clip, session.job)
    address = f"{media_address(session.id)}/proposals"
    value = {
        "text": proposals.text,
        "pictures": [{"seed": seed, "address": f"{address}/{seed}"} for seed in proposals.seeds[:PROPOSED]],
        "chosen": drawn_backgrounds.chosen_seed(session.folder, session.clip, session.job),
    }
    return gr.HTML(value=value, visible=bool(proposals.seeds))
