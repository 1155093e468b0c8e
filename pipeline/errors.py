"""Exceptions of the pipeline.

RecorteError                 base class
├── InputError               the input is at fault; the message says which part and what to do
│   ├── VideoError           the video cannot be opened, holds no picture, or is damaged
│   ├── PromptError          a mark outside the frame, or after the end
│   ├── BackgroundError      the background is no colour, no picture, or too large
│   │   └── AnimatedPictureError  it is an animated picture, to be used as a video
│   ├── FormatError          the format is unknown or does not support the job
│   └── WeightsError         a model's weights are missing, cannot be fetched, or are not what they should be
└── RunError                 the machine is at fault: disk full, encoder failed
    └── WorkerLost           the worker process ended during the call

Each is made of the key of a sentence and what is filled in, see `pipeline.languages.messages`. It names files
without their path, except for weights, whose folder the user needs to know.
"""

import errno

from pipeline.languages.messages import Message, MessageError

INTERNAL_ERROR = Message("runs.internal_error")
"""Message for errors that are none of these."""

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Values of `OSError.errno` for a full disk."""


class RecorteError(MessageError):
    """Base class; the message may be shown to the user."""


class InputError(RecorteError):
    """The input cannot be used."""


class VideoError(InputError):
    """The file is not a usable video."""


class PromptError(InputError):
    """A prompt does not fit its video."""


class BackgroundError(InputError):
    """The background cannot be used."""


class AnimatedPictureError(BackgroundError):
    """The picture is animated and has to be used as a video."""


class FormatError(InputError):
    """The output format is unknown or does not support what was asked for."""


class WeightsError(InputError):
    """A model's weights are missing, cannot be fetched, or are not what they should be."""


class RunError(RecorteError):
    """The machine failed; the input is not at fault."""


class WorkerLost(RunError):
    """The worker process ended unexpectedly.

    `how` says how, as the end of a sentence, such as "it was killed, and memory may have run out".
    """

    def __init__(self, key: str, /, *, how: Message) -> None:
        super().__init__(key, how=how)
        self.how = how
