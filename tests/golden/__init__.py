"""Golden tests: what a change of the code's shape may not change.

`data/` holds files that were written once by `make.py`, a script that no test runs, and are committed:
listings of what the program offers (`*.json`), and files as users have them on their disks. The tests
compare the listings with today's, and have today's code read the files.

    python -m tests.golden.make                make all of them again
    python -m tests.golden.make help.json      only those whose names begin so

A difference is either a mistake, or a change that is meant: then the file is made again in the same commit,
and the commit's text says why it could change. Files of users are not made again for no longer being read:
they are what users have. An exception is a model whose `Card.version` was raised, for its mattes are made
anew then, and what is left of its killed runs is rightly thrown away.

All that the golden tests import of the program is in `internals.py`, so that a move changes one file here.
Bits are compared only where they are exact on every machine: of files that are read back, and of stand-in
models that see lossless RGB.
"""
