"""Messages: sentences of key and fields in each language, stored and sent between processes."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path

import pytest

from db.errors import DatabaseAway
from pipeline.errors import AnimatedPictureError, BackgroundError, InputError, VideoError, WorkerLost
from pipeline.languages import locales
from pipeline.languages.messages import Message, MessageError
from ui.sessions.limits.quota import QuotaExceeded
from ui.sessions.rendering.protocol import MarksChanged

CUT = Message("video.cut_short", {"name": "a {b}.mp4", "promised": 289, "held": 152})
LOST = Message("runs.lost_continue", {"how": Message("runs.crashed")})


def test_a_message_is_a_sentence_in_each_language() -> None:
    assert str(CUT) == (
        "a {b}.mp4: the file is cut short: it promises 289 frames and holds 152. Copy or download it again."
    )
    assert CUT.render("es") == (
        "a {b}.mp4: el archivo está cortado: promete 289 fotogramas y contiene 152. Cópialo o descárgalo "
        "otra vez."
    )


def test_a_message_within_a_message_is_in_the_same_language() -> None:
    assert str(LOST) == "The process that worked on this was lost: it crashed. Start it again to continue."
    assert (
        LOST.render("es")
        == "Se ha perdido el proceso que trabajaba en esto: falló. Hazlo otra vez para continuar."
    )
    assert LOST.render("zz") == str(LOST)


def test_decimals_are_written_as_the_language_does() -> None:
    start = Message("marks.start_outside", {"start": 12.5, "name": "a.1.mp4", "length": 3.0})
    assert str(start) == "The start, 12.5 s, lies outside a.1.mp4, which is 3.00 s long."
    for language in ("de", "es"):
        said = start.render(language)
        assert "12,5 s" in said and "3,00 s" in said and "a.1.mp4" in said
    disk = Message("limits.disk", {"name": "a.mp4", "need": 1_500_000_000, "free": 3_000_000})
    assert "1.50 GB" in str(disk) and "1,50 GB" in disk.render("de") and "3 MB" in disk.render("de")
    long = Message("limits.length", {"name": "a.mp4", "length": 3.21, "most": 65})
    assert "lasts 3.2 s, and 1:05 min are" in str(long) and "3,2 s" in long.render("es")


def test_words_follow_the_count() -> None:
    fields = {"label": "SAM", "files": "a.pt", "key": "sam", "folder": "/w"}
    for count, word in ((1, "put the file into"), (2, "put the files into")):
        assert word in str(Message("weights.missing", {**fields, "count": count}))
    for count, words in ((1, ("pudo", "la tiene", "Conviértela")), (2, ("pudieron", "las tiene"))):
        said = Message("notes.fewer_tracks", {"name": "a.mp4", "count": count, "tracks": 3}).render("es")
        assert all(word in said for word in words)


def test_a_message_survives_json() -> None:
    for message in (CUT, LOST, Message("runs.stopped")):
        assert Message.from_json(json.loads(json.dumps(message.to_json()))) == message
    for broken in ({}, {"key": "a"}, {"key": "a", "fields": {"b": None}}, {"key": "a", "fields": {"b": {}}}):
        with pytest.raises((LookupError, TypeError, AttributeError)):
            Message.from_json(broken)


@pytest.mark.parametrize("number", [math.inf, math.nan, 2**70])
def test_numbers_that_json_cannot_hold_are_stored_as_they_are_written(number: float) -> None:
    message = Message("choices.grow", {"most": number})
    data = json.dumps(message.to_json(), allow_nan=False)
    assert str(number) in str(Message.from_json(json.loads(data)))


@pytest.mark.parametrize(
    "error",
    [
        VideoError("video.empty", name="a.mp4"),
        AnimatedPictureError("background.animated", name="a.webp"),
        WorkerLost("runs.lost", how=Message("runs.signal", {"number": 6})),
        DatabaseAway("database.away", name="a", host="b", reason="c"),
        QuotaExceeded(1, 2, 3),
        MarksChanged(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_the_same_in_another_process(error: MessageError) -> None:
    error.add_note("where it was")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error) and copy.message == error.message and str(copy) == str(error)
    assert copy.__notes__ == ["where it was"] and copy.__dict__ == error.__dict__


def test_an_error_can_say_what_another_one_does() -> None:
    error = BackgroundError.of(VideoError("video.empty", name="a.mp4").message)
    assert type(error) is BackgroundError
    assert str(error) == "a.mp4: the file is empty (0 bytes). Copy or download it again."


def test_a_field_may_have_the_name_of_the_parameter() -> None:
    error = InputError("choices.no_such_model", key="x", keys="a, b")
    assert (error.message.key, error.message.fields["key"]) == ("choices.no_such_model", "x")
    assert str(error) == "There is no model called 'x'. There are: a, b."


def test_a_key_without_a_template_is_an_error() -> None:
    with pytest.raises(KeyError):
        str(Message("There is no free text."))


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "de"),
        ({"LANG": "es"}, "es"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "C", "LC_ALL": "es_MX.UTF-8@x"}, "es"),
        ({"LANG": "es_ES", "LC_MESSAGES": "de_AT.UTF-8"}, "de"),
        ({"LANG": "es_ES", "LC_ALL": ""}, "es"),
        ({"LANG": "zz_ZZ.UTF-8"}, "en"),
        ({"LANG": "../locales/es"}, "en"),
    ],
)
def test_the_environment_names_the_language_of_the_command_line(
    environment: dict[str, str], language: str
) -> None:
    assert locales.command_line_language(environment) == language


WEIGHTS = "/home/somebody/.local/share/recorte/weights"
BY_HAND = Message("weights.by_hand", {"url": "https://example.org/a.pt", "folder": WEIGHTS, "file": "a.pt"})
ABOUT_WEIGHTS = [
    Message(
        "weights.missing",
        {"label": "SAM ViT-B", "files": "a.pt", "key": "sam-vit-b", "count": 1, "folder": WEIGHTS},
    ),
    Message(
        "weights.unreachable",
        {"host": "example.org", "error": "[Errno -2] Name or service not known", "how": BY_HAND},
    ),
    Message("weights.busy", {"host": "example.org", "status": 503, "how": BY_HAND}),
    Message("weights.not_written", {"file": "a.pt", "folder": WEIGHTS, "reason": "Permission denied"}),
    Message("weights.no_room_for", {"file": "a.pt", "folder": WEIGHTS, "need": 10**9}),
    Message("weights.no_checkpoint", {"file": "a.pt", "folder": WEIGHTS}),
    Message("weights.licence", {"restriction": "May not be sold.", "url": "https://example.org"}),
]
ADVICE = ("/home", "Errno", "python -m", "--accept", "RECORTE_")


@pytest.mark.parametrize("language", ["en", "es", "de"])
def test_errors_about_weights_name_no_command_path_or_error_number_on_the_page(language: str) -> None:
    for message in ABOUT_WEIGHTS:
        assert not [word for word in ADVICE if word in message.render(language)]


@pytest.mark.parametrize("language", ["en", "es", "de"])
def test_the_command_line_keeps_its_advice_in_every_language(language: str) -> None:
    for message in ABOUT_WEIGHTS:
        advice = [word for word in ADVICE if word in str(message)]
        said = message.render(language, command_line=True)
        assert advice and [word for word in advice if word not in said] == []
        assert language == "en" or "some other way" not in said


def test_the_folder_of_languages_is_that_of_the_assets() -> None:
    assert Path(__file__).resolve().parents[3] / "assets" / "locales" == locales.LOCALES_DIR
