"""Exceptions of the database.

DatabaseError       base class
├── DatabaseAway    the server cannot be reached, or the connection was lost; a later retry may succeed
├── NotFound        there is no such session, or it belongs to another user
├── Unstorable      a character or a number that no column can hold
└── AccountError    an invalid name or password, or an unknown user

Each is made of the key of a sentence and what is filled in (`pipeline.languages.messages`); never a password.
"""

from pipeline.languages.messages import MessageError


class DatabaseError(MessageError):
    """Base class; the message may be shown to the user."""


class DatabaseAway(DatabaseError):
    """The server cannot be reached, or the connection was lost; the transaction is rolled back."""


class NotFound(DatabaseError):
    """There is no session of that id, or it belongs to another user; the message is the same for both."""


class Unstorable(DatabaseError):
    """A character or a number that no column can hold."""


class AccountError(DatabaseError):
    """A name or a password is invalid or taken, or there is no such user."""
