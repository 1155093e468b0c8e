"""The page's event handlers, called as Gradio calls them, without a browser."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from tests.pipeline import stand_in
from tests.ui.sessions.test_service import MARKS, clips, finished, service, upload, working
from ui.page import blocks
from ui.sessions.service import SessionService

__all__ = ["clips", "service", "upload", "working"]  # fixtures

pytestmark = pytest.mark.usefixtures("at_once")

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def call(service: SessionService) -> Iterator[Call]:
    """Call the handler of a component's event; return the new values by the components' ids, or classes."""
    # Gradio leaves loops unclosed when a page is built: they go here, and not in the middle of a test.
    with warnings.catch_warnings(action="ignore"):
        page = blocks.build(service)
        asyncio.set_event_loop(None)
        gc.collect()
    with stand_in.registered():

        def call(
            name: str, event: str, *inputs: Any, language: str = "en", data: dict[str, Any] | None = None
        ) -> dict[str, Any]:
            request = gr.Request()
            request.request = SimpleNamespace(
                headers={"accept-language": language}, cookies={}, state=SimpleNamespace(user=None)
            )  # type: ignore[assignment]
            for function in page.fns.values():
                for target, happened in function.targets:
                    if target in page.blocks and (page.blocks[target].elem_id, happened) == (name, event):
                        told = [] if data is None else [SimpleNamespace(**data)]
                        updates = function.fn(*inputs, request, *told)
                        return {part.elem_id or type(part).__name__: value for part, value in updates.items()}
            raise LookupError(f"nothing comes of {event} of {name}")

        yield call
        for session in service.list_sessions():
            service.choices.choose_model(session.id, "grabcut")


def test_an_edit_is_answered_with_changes_from_other_windows(
    service: SessionService, upload: Any, call: Call
) -> None:
    id = service.create(upload(), "a.mp4")
    nothing = {"prompts": [], "objects": [], "start": 0, "end": None}
    service.choices.edit(id, nothing | {"prompts": MARKS}, nothing)
    mine = [{"time": 0.0, "points": [{"x": 5, "y": 5, "keep": True}]}]
    shown = call("stage", "input", nothing | {"prompts": mine, "base": nothing, "seq": 4}, id)["stage"]
    assert len(shown["prompts"][0]["points"]) == 2 and shown["seq"] == 4 and shown["message"] is None
    assert shown["version"] == service.open(id).fingerprint
    for corner, said in ((50, None), (60, "otra ventana")):
        boxed = nothing | {"prompts": [{"time": 0.0, "box": [1, 1, corner, 60]}], "base": nothing, "seq": 5}
        shown = call("stage", "input", boxed, id, language="es")["stage"]
        assert said in (shown["message"] or "") if said else shown["message"] is None
    # Another window notices, and shows all of the session.
    assert call("stage", "tick", id)["stage"]["version"] == service.open(id).fingerprint


def test_frames_to_check_are_shown_beside_the_status(
    service: SessionService, upload: Any, call: Call
) -> None:
    id = service.create(upload(), "a.mp4")
    service.choices.choose_model(id, "doubting")
    service.run(id)
    finished(service, id)
    said = call("stage", "tick", id)["progress"].value
    assert "but look at 1 place:" in said
    assert 'data-goto="5"' in said and f"/media/{id}/frames/5?view=mask" in said
    assert "pero mira 1 lugar" in call("stage", "tick", id, language="es")["progress"].value


def test_sessions_are_renamed_deleted_and_restored(service: SessionService, upload: Any, call: Call) -> None:
    id = service.create(upload(), "a.mp4")
    shown = call("cards", "edit", "", "", data={"id": id, "name": "Beach"})
    assert shown["cards"]["cards"][0]["name"] == "Beach" and shown["Timer"].active
    shown = call("cards", "delete", id, "none", data={"id": id})
    assert shown["cards"] == {
        "cards": [], "search": "none", "gone": {"id": id, "name": "Beach", "seconds": 30.0}
    }  # fmt: skip
    assert shown["current"] == "" and service.list_sessions() == []
    shown = call("cards", "undo", "", data={"id": id})
    assert [card["id"] for card in shown["cards"]["cards"]] == [id] and shown["cards"]["gone"] is None


def test_errors_are_in_the_visitors_language(service: SessionService, upload: Any, call: Call) -> None:
    id = service.create(upload(), "a.mp4")
    service.choices.choose_model(id, "pointing")
    for language, said in (("en", "Click on the subject first"), ("es", "Haz clic primero en el sujeto")):
        with pytest.raises(gr.Error, match=said):
            call("make", "click", id, language=language)
    service.choices.choose_model(id, "failing")
    service.run(id)
    finished(service, id)
    assert "Algo ha fallado" in call("stage", "tick", id, language="es")["progress"].value


def test_a_run_needs_the_weights_of_its_model(service: SessionService, upload: Any, call: Call) -> None:
    id = service.create(upload(), "a.mp4")
    assert call("stage", "tick", id)["make"].interactive
    service.choices.choose_model(id, "sam2-tiny")
    shown = call("stage", "tick", id, language="es")
    assert not shown["make"].interactive and "SAM 2.1 Tiny aún no está listo" in shown["progress"].value
    service.choices.save_marks(id, MARKS)
    with pytest.raises(gr.Error) as refused:
        call("make", "click", id)
    assert "Download the weights" in str(refused.value) and "python -m" not in str(refused.value)
