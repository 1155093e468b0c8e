"""`python -m tests.ui.stand_in_app`: the server, with stand-ins among its models."""

import sys

import app
from tests.pipeline import stand_in

if __name__ == "__main__":
    with stand_in.registered():
        status = app.main()
    sys.exit(status)
