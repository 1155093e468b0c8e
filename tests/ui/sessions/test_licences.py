"""Acknowledgement of what a licence forbids, by each user for themself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from db import repository, users
from db.engine import Database
from db.ledger import Ledger
from db.models import State
from pipeline import models
from pipeline.errors import WeightsError
from pipeline.models import Card, registry
from pipeline.weights import licences
from tests.pipeline import stand_in
from tests.ui import line

SENTENCE = r"^Not to be sold\. Read https://example\.org/licence, then acknowledge it once"


@pytest.fixture(autouse=True)
def bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_ins: None) -> Iterator[Card]:
    """A model whose licence forbids something."""
    monkeypatch.setenv("RECORTE_WEIGHTS", str(tmp_path / "weights"))
    card = stand_in.card("bound", stand_in.Threshold, restriction="Not to be sold.")
    vars(card)["licence_url"] = "https://example.org/licence"
    models.cards()["bound"] = card
    yield card
    models.cards().pop("bound")


@pytest.fixture
def people(own: Database) -> tuple[UUID, UUID]:
    with own.begin() as tx:
        ana, ben = (users.add(tx, name=name, password=f"{name} has a secret") for name in ("ana", "ben"))
        return ana.id, ben.id


@pytest.fixture
def make(own: Database, small_clip: Path, tmp_path: Path) -> Callable[..., str]:
    return line.session_maker(tmp_path, own, small_clip)


def test_acknowledgements_are_stored_by_user(
    own: Database, people: tuple[UUID, UUID], make: Callable[..., str], tmp_path: Path
) -> None:
    with closing(Ledger(own)) as ledger:
        service = line.make_service(tmp_path, own, queue := line.ManualRunner(ledger))
        ids = {owner: make(owner) for owner in (None, *people)}
        for owner, id in ids.items():
            service.for_owner(owner).choices.choose_model(id, "bound")
        ana, ben = people
        service.for_owner(ana).acknowledge("bound")
        service.for_owner(ana).run(ids[ana])
        mine = service.for_owner(ana).open(ids[ana])
        assert (
            service.frames.render_frame(mine, 0, "mask").data
            != service.frames.render_frame(mine, 0, "original").data
        )
        theirs = service.for_owner(ben).open(ids[ben])
        for use in (
            lambda: service.for_owner(ben).run(ids[ben]),
            lambda: service.frames.render_candidates(theirs, 0, 1),
            lambda: list(service.frames.make_previews(theirs)),
        ):
            with pytest.raises(WeightsError, match=SENTENCE):
                use()
        plain, masked = (service.frames.render_frame(theirs, 0, view) for view in ("original", "mask"))
        assert masked.data == plain.data and plain.final and not masked.final
        before = service.frames.revision(theirs)
        assert queue.submitted == [ids[ana]]
        service.for_owner(ben).acknowledge("bound")
        assert service.frames.revision(theirs) != before  # and the page asks for its masks again
        service.for_owner(ben).run(ids[ben])
        assert queue.submitted == [ids[ana], ids[ben]]


def test_acknowledgements_of_the_command_line_are_the_local_users(
    own: Database, people: tuple[UUID, UUID], make: Callable[..., str], tmp_path: Path, bound: Card
) -> None:
    service = line.make_service(tmp_path, own, line.ManualRunner(None))
    assert not service.open(make()).accepts(bound)
    licences.acknowledge("bound", bound.licence_url)
    assert service.open(make()).accepts(bound)
    ana, _ = people
    assert not service.for_owner(ana).open(make(ana)).accepts(bound)


def test_acknowledgements_are_by_licence_and_deleted_with_their_user(
    own: Database, people: tuple[UUID, UUID], bound: Card
) -> None:
    ana, ben = people
    with own.begin() as tx:
        for id in people:
            users.acknowledge(tx, id=id, model="bound", licence_url="https://example.org/old")
        assert not users.has_acknowledged(tx, id=ana, model="bound", licence_url=bound.licence_url)
        users.acknowledge(tx, id=ana, model="bound", licence_url=bound.licence_url)
        assert users.has_acknowledged(tx, id=ana, model="bound", licence_url=bound.licence_url)
        assert not users.has_acknowledged(tx, id=ana, model="rmbg", licence_url=bound.licence_url)
    with own.begin() as tx:
        users.remove(tx, name="ana")
    with own.begin() as tx:
        assert not users.has_acknowledged(tx, id=ana, model="bound", licence_url=bound.licence_url)
        assert users.has_acknowledged(tx, id=ben, model="bound", licence_url="https://example.org/old")


def test_without_acknowledgement_another_default_model_is_chosen(
    own: Database,
    people: tuple[UUID, UUID],
    tmp_path: Path,
    small_clip: Path,
    bound: Card,
    at_once: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "AUTOMATIC", "bound")
    service = line.make_service(tmp_path, own, line.ManualRunner(None))
    service.for_owner(people[0]).acknowledge("bound")
    chosen = []
    for n, owner in enumerate(people):
        copy = tmp_path / f"{n}.mp4"
        os.link(small_clip, copy)
        chosen.append(service.for_owner(owner).open(service.for_owner(owner).create(copy, "a.mp4")).job.model)
    assert chosen == ["bound", "recorte"]


def test_a_run_without_acknowledgement_is_not_requeued(
    own: Database, people: tuple[UUID, UUID], make: Callable[..., str], tmp_path: Path
) -> None:
    service = line.make_service(tmp_path, own, queue := line.ManualRunner(None))
    ana, ben = people
    ids = [make(ana), make(ben)]
    for owner, id in zip(people, ids, strict=True):
        service.for_owner(owner).choices.choose_model(id, "bound")
        with own.begin() as tx:
            repository.queue(tx, id=id, owner=owner)
    service.for_owner(ana).acknowledge("bound")
    service.requeue()
    assert queue.submitted == [ids[0]]
    refused = service.for_owner(ben).open(ids[1]).row
    assert refused.state is State.FAILED and str(refused.error).startswith("Not to be sold.")
