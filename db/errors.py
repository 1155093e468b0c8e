"""Everything the database raises on purpose.

DatabaseError       a sentence for the person who asked
├── DatabaseAway    the server cannot be reached, or went away: trying again later may work
├── NotFound        there is no such session, or it is somebody else's
├── Unstorable      a character or a number that no column can hold
└── AccountError    a name or password that cannot be taken, or a user who is not there

The message is the sentence that is shown; it never holds a password.
"""


class DatabaseError(Exception):
    """Base of all; its text is a sentence that may be shown to the user as it is."""


class DatabaseAway(DatabaseError):
    """The server cannot be reached, or the connection was lost; nothing of the transaction is kept."""


class NotFound(DatabaseError):
    """There is no session of that id for who asks: another's is not told from one that never was."""


class Unstorable(DatabaseError):
    """A character or a number that no column can hold."""


class AccountError(DatabaseError):
    """A name or a password that cannot be taken, or a user who is not there."""
