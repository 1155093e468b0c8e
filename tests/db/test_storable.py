"""Values that no column takes are refused in a sentence, before PostgreSQL sees them."""

import math
from typing import Any

import pytest

from db import repository
from db.engine import Database
from db.errors import Unstorable

REFUSED = {
    "NUL": "a\0b",
    "half a surrogate pair": "a\ud83d",
    "no number": math.nan,
    "an endless number": -math.inf,
    "a number of more than 64 bits": 10**30,
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("inside", [lambda v: v, lambda v: [{"deep": v}]], ids=["plain", "deep"])
def test_unstorable_json_is_refused(database: Database, value: Any, inside: Any) -> None:
    with pytest.raises(Unstorable, match=r"cannot be kept|too large"), database.begin() as tx:
        repository.create(tx, name="a", source="a.mp4", clip={}, job={"x": inside(value)})
    with database.begin() as tx:
        assert repository.list_page(tx) == []


@pytest.mark.parametrize("name", ["a\0b", "a\ud83d"])
def test_unstorable_text_is_refused(database: Database, name: str) -> None:
    with pytest.raises(Unstorable), database.begin() as tx:
        repository.create(tx, name=name, source="a.mp4", clip={}, job={})
    with pytest.raises(Unstorable), database.begin() as tx:
        repository.create(tx, name="a", source="a.mp4", clip={}, job={name: 1})
    with pytest.raises(Unstorable), database.begin() as tx:
        repository.list_page(tx, search=name)


def test_storable_values_are_read_back_unchanged(database: Database) -> None:
    job = {"n": 2**63 - 1, "m": -(2**62), "x": 0.1, "none": None, "list": [True, "😀 \x7f"], "": {}}
    with database.begin() as tx:
        id = repository.create(tx, name="😀", source="a.mp4", clip={}, job=job).id
    with database.begin() as tx:
        row = repository.get(tx, id=id)
        assert row.job == job and row.name == "😀" and row.progress is None
        assert [row.id for row in repository.list_page(tx, search="😀")] == [id]
        repository.delete(tx, id=id)
