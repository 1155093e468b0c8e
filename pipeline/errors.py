"""Everything the pipeline raises on purpose.

RecorteError                 a sentence for the person who asked
├── InputError               what was given is at fault: the sentence says which part and what to do
│   ├── VideoError           the video cannot be opened, holds no picture, or is damaged
│   ├── PromptError          a mark outside the frame, or after the end
│   ├── BackgroundError      the background is no colour, no picture, or too large
│   │   └── AnimatedPictureError  it is an animated picture, and to be taken as a video
│   ├── FormatError          the format is unknown or cannot hold what is asked of it
│   └── WeightsError         a model's weights are missing, cannot be fetched, or are not what they should be
└── RunError                 the machine is at fault: disk full, encoder failed
    └── WorkerLost           the process that did the work ended in the middle of it

The message is the sentence that is shown; it names the file by its name, never by its path. Only weights are
told with their folder, where somebody has to put them.
"""

import errno

INTERNAL_ERROR = "Something went wrong inside the program; its log has the details."
"""For whoever asked, where an error was raised that is none of these."""


DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The numbers of an OSError that says so."""

UNREADABLE = "This was written by another version of the program, or is damaged."
"""Sentence for stored data that cannot be read."""


def no_frames_sentence(name: str) -> str:
    """The sentence on a video that holds nothing which can be decoded."""
    return f"{name}: not one picture of this video could be decoded."


class RecorteError(Exception):
    """Base of all; its text is a sentence that may be shown to the user as it is."""


class InputError(RecorteError):
    """What the user gave cannot be used."""


class VideoError(InputError):
    """The file is no video that can be used."""


class PromptError(InputError):
    """A mark does not fit the video it is put on."""


class BackgroundError(InputError):
    """The background cannot be used."""


class AnimatedPictureError(BackgroundError):
    """The picture is animated: as a background it is a video."""


class FormatError(InputError):
    """The output format is unknown or cannot hold what was asked."""


class WeightsError(InputError):
    """A model's weights are missing, cannot be fetched, or are not what they should be."""


class RunError(RecorteError):
    """The input was fine; the machine could not finish."""


class WorkerLost(RunError):
    """The process that did the work ended in the middle of it.

    `how` says it as the end of a sentence, such as "it was killed, and memory may have run out".
    """

    def __init__(self, sentence: str, how: str) -> None:
        super().__init__(sentence, how)
        self.how = how

    def __str__(self) -> str:
        return str(self.args[0])
