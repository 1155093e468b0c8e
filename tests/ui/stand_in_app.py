"""`python -m tests.ui.stand_in_app`: the server, with stand-ins among its models.

SEGMENT_SECONDS in its environment is as for `tests.pipeline.stand_in`.
"""

import os
import sys

import app
from pipeline import spool
from tests.pipeline import stand_in

if __name__ == "__main__":
    with stand_in.registered():
        status = app.main()
    sys.exit(status)
elif __name__ == "__mp_main__":  # a process that the server has started, which has the same models
    stand_in.register()
    spool.SECONDS = float(os.environ.get("SEGMENT_SECONDS", spool.SECONDS))
