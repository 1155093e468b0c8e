"""Tokens of the API."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from db import api_tokens, users
from db.errors import AccountError
from db.models import ApiToken, User
from db.tokens import hash_token


def add_user(tx: Session, name: str = "Ana") -> UUID:
    user = User(name=name, password="a hash")
    tx.add(user)
    tx.flush()
    return user.id


def test_a_token_is_found_by_its_hash_until_it_expires(tx: Session) -> None:
    id = add_user(tx)
    new, lasting = api_tokens.add(tx, user_id=id, days=2), api_tokens.add(tx, user_id=id)
    assert new.token != lasting.token and new.row.token_hash == hash_token(new.token)
    assert new.row.expires_at is not None
    assert new.row.expires_at - new.row.created_at == timedelta(days=2)
    found = api_tokens.use(tx, token_hash=hash_token(new.token))
    assert found is not None and (found.user.id, found.seconds_left) == (id, 2 * 24 * 3600.0)
    found = api_tokens.use(tx, token_hash=hash_token(lasting.token))
    assert found is not None and (found.user.id, found.seconds_left) == (id, None)
    assert api_tokens.use(tx, token_hash=new.token) is None
    tx.execute(text("UPDATE api_tokens SET expires_at = now() WHERE expires_at IS NOT NULL"))
    assert api_tokens.use(tx, token_hash=hash_token(new.token)) is None
    assert api_tokens.use(tx, token_hash=hash_token(lasting.token)) is not None


def test_the_use_of_a_token_is_noted_once_a_minute(tx: Session) -> None:
    id = add_user(tx)
    new, other = api_tokens.add(tx, user_id=id), api_tokens.add(tx, user_id=id)
    now = tx.scalars(select(func.now())).one()

    def used(token: api_tokens.NewToken) -> object:
        return tx.scalars(select(ApiToken.last_used_at).where(ApiToken.id == token.row.id)).one()

    for age, expected in ((None, 0), (30, 30), (90, 0)):
        if age is not None:
            query = "UPDATE api_tokens SET last_used_at = now() - :age"
            tx.execute(text(query), {"age": timedelta(seconds=age)})
        assert api_tokens.use(tx, token_hash=new.row.token_hash) is not None
        assert used(new) == now - timedelta(seconds=expected)
    assert used(other) == now - timedelta(seconds=90)


def test_tokens_are_listed_by_user(tx: Session) -> None:
    ben, ana = add_user(tx, "ben"), add_user(tx, "Ana")
    first, second = api_tokens.add(tx, user_id=ben), api_tokens.add(tx, user_id=ana, days=1)
    third = api_tokens.add(tx, user_id=ana)
    tx.execute(text("UPDATE api_tokens SET expires_at = now() WHERE expires_at IS NOT NULL"))
    listed = [(each.row.id, each.user, each.expired) for each in api_tokens.list_tokens(tx)]
    assert listed == [
        (second.row.id, "Ana", True),
        (third.row.id, "Ana", False),
        (first.row.id, "ben", False),
    ]


def test_a_token_is_removed_by_its_number_and_with_its_user(tx: Session) -> None:
    ana, ben = add_user(tx), add_user(tx, "Ben")
    new, other, bens = (api_tokens.add(tx, user_id=id) for id in (ana, ana, ben))
    api_tokens.remove(tx, id=new.row.id)
    for id in (new.row.id, 0, -1, 10**30):
        with pytest.raises(AccountError, match=f"^There is no token of the number {id}:"):
            api_tokens.remove(tx, id=id)
    assert [each.row.id for each in api_tokens.list_tokens(tx)] == [other.row.id, bens.row.id]
    users.remove(tx, name="Ana")
    assert [each.row.id for each in api_tokens.list_tokens(tx)] == [bens.row.id]
