"""Schemas of what the API takes and gives; `documentation` and clients read their descriptions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from db.models import State
from pipeline import prompts
from pipeline.formats import Content, Quality
from pipeline.job import Sound
from ui.server.api.look.base import STRICT as STRICT
from ui.server.api.look.base import Schema as Schema
from ui.server.api.look.look import Edges as Edges
from ui.server.api.look.look import Light as Light

_RATE = r"^[0-9]{1,12}(\.[0-9]{1,6}|/[1-9][0-9]{0,11})?$"

Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e9, le=1e9)]


class RefusedValue(Schema):
    """Value that does not fit its schema."""

    at: str
    """Place of the value, such as "body.edges.grow"."""
    message: str
    """Expected value, in English."""


class Problem(Schema):
    """Error, as problem details (RFC 9457)."""

    type: str
    """Stable name of the kind of error, relative to the server; of each status there is one."""
    title: str
    """The kind of error, in English."""
    status: int
    detail: str
    """Sentence about what is wrong and what to do, in the language of `Accept-Language`."""
    code: str | None = None
    """Key of the sentence in `detail`, which tells the errors of one type apart."""
    errors: list[RefusedValue] | None = None
    """Values that do not fit their schema."""
    request_id: str
    """Id of the request, which the server's log has too."""


class Model(Schema):
    """Model that finds the subject."""

    key: str
    label: str
    purpose: str
    """Purpose, in the language of `Accept-Language`."""
    points: bool
    """Takes points to keep and to remove."""
    box: bool
    """Takes boxes."""
    automatic: bool
    """Finds a subject without any mark."""
    candidates: bool
    """Offers several masks for a single click."""
    classes: list[str]
    """Names of the classes that a session may choose; empty: it knows none."""
    licence: str
    licence_url: str
    restriction: str | None
    """Restriction by its licence; null: none that has to be acknowledged."""
    acknowledged: bool
    """True if you have acknowledged that; else it is not run."""
    present: bool
    """True if its weights are on the server, or it needs none."""
    download_bytes: int
    """Size of its weights; 0: none."""
    version: int
    """Raised when the same input gives another matte."""


class Models(Schema):
    """All models."""

    items: list[Model]


class Format(Schema):
    """Format of a result."""

    key: str
    label: str
    """Its name, in the language of `Accept-Language`."""
    suffix: str
    media_type: str
    content: Content
    """The video over its background ("picture"), the matte alone, foreground and matte apart ("pair") or one
    above the other ("stacked"), the matte of each object, masks of 0 and 255, tinted frames ("overlay"),
    frame, matte, cut-out and result side by side ("process"), the first with each matte ("layers"), or the
    frame without its subject ("plate")."""
    alpha: bool
    """True if it may be transparent."""
    sound: bool
    still: bool
    """True if it is of one picture, and not of a video."""
    hardware: bool
    """True if a device of the server encodes it."""


class Formats(Schema):
    """All formats."""

    items: list[Format]


class Result(Schema):
    """File that a run has made."""

    id: UUID
    created_at: datetime
    format: str
    model: str
    bytes: int
    frames: int
    seconds: float
    """Length of the video, in seconds."""
    notes: list[str]
    """Choices that could not be followed, in the language of `Accept-Language`."""


class SessionSummary(Schema):
    """Session as it is listed."""

    id: UUID
    name: str
    starred: bool
    """True if it is exempt from expiry."""
    state: State
    created_at: datetime
    changed_at: datetime
    """Time of the last change of its choices, its state or its results."""
    readable: bool
    """False for one of a newer version of the server: it can be listed and deleted."""
    error: str | None
    """Why its last run ended without a result, in the language of `Accept-Language`."""
    results: list[Result]
    """The newest first."""


class SessionSummaries(Schema):
    """Page of a list of sessions, the newest first."""

    items: list[SessionSummary]
    next: str | None
    """Value of `cursor` for the next page; null: this is the last one."""


class Clip(Schema):
    """Uploaded video."""

    width: int
    height: int
    frames: int
    duration: float
    """In seconds."""
    sound: bool
    picture: bool
    """True if it is one picture, and no video."""


class Point(Schema):
    """Point of a mark."""

    model_config = STRICT

    x: Number
    y: Number
    keep: bool = True
    """False: a point that is not of the subject."""
    whole: bool = False
    """Stands for all of the thing that it lies on, where the model can tell that from others."""


class Stroke(Schema):
    """Brush stroke, which paints the matte of its frame."""

    model_config = STRICT

    path: list[tuple[Number, Number]] = Field(min_length=1, max_length=prompts.MOST_VERTICES)
    """Corners, x before y."""
    width: Number
    """Of the brush, in pixels."""
    keep: bool = True


class Mask(Schema):
    """Mask of an object on a frame, as `POST /sessions/{id}/masks` took it; inverted: white is outside."""

    model_config = STRICT

    file: str = Field(min_length=1, max_length=100)
    invert: bool = False


class Prompt(Schema):
    """Marks of one object on one frame."""

    model_config = STRICT

    time: Number = 0.0
    points: list[Point] = Field(default=[])
    box: Annotated[list[Number], Field(min_length=4, max_length=4)] | None = None
    """Left, top, right and bottom."""
    object: int = Field(default=1, ge=1, le=9999)
    candidate: int | None = Field(default=None, ge=0, lt=prompts.CANDIDATES)
    """Which of the candidates of a single click is meant; null: the best."""
    strokes: list[Stroke] = Field(default=[], max_length=prompts.MOST_STROKES)
    mask: Mask | None = None


class Object(Schema):
    """Object that marks belong to."""

    model_config = STRICT

    number: int = Field(ge=1, le=9999)
    name: str = Field(default="", max_length=200)
    on: bool = True
    """False leaves it out of the result."""


class Prompts(Schema):
    """All marks of a session."""

    model_config = STRICT

    prompts: list[Prompt]
    objects: list[Object] = Field(default=[], max_length=99)
    """Objects with a name, and those that are left out."""


class PlainChoices(Schema):
    """Choices for a session's video, but for its edges and its light."""

    model: str = Field(default="", max_length=100)
    background: str = Field(default="", max_length=1000)
    """As the command line takes it; of an upload the name of its file."""
    format: str = Field(default="", max_length=100)
    start: Number = 0.0
    """Seconds; moved to the nearest frame."""
    end: Number | None = None
    """Seconds; the first frame that is left out. null: the end of the video."""
    quality: Quality = "high"
    sound: Sound = "own"
    """Sound of the video itself, of the background video, or none."""
    rate: str | None = Field(default=None, pattern=_RATE)
    """Constant frame rate as a number or a fraction, such as "30000/1001"; null: as in the video."""
    hardware: bool = False
    """Encode on a graphics card where there is a suitable one."""
    crop: str | None = Field(default=None, max_length=20)
    """Aspect ratio, such as "9:16", of a window that follows the subject; null: the whole frame."""
    hair: bool = False
    """Find the alpha along edges anew, where the weights for it are present."""
    upscale: int = Field(default=1, ge=1, le=4)
    """Times as wide and high as the picture that its result is: 1, 2 or 4; of a video it is 1."""
    classes: list[Annotated[str, Field(max_length=100)]] = Field(default=[], max_length=200)
    """Classes that are the subject, for a model that knows classes."""


class Choices(PlainChoices):
    """Choices for a session's video; a program that changes them sends only what is to change."""

    edges: Edges = Edges()
    light: Light = Light()
    """Chosen as a whole."""


class Session(SessionSummary, Choices):
    """Session with its video and its choices."""

    clip: Clip
    prompts: list[Prompt]
    objects: list[Object]
    outdated: bool
    """True if the newest result was made from other choices or marks."""
    can_resume: bool
    """True if a run goes on from what a stopped one has found."""
    queue_position: int | None
    """0: it is running; 1: it is next; null: it is neither."""


class SessionChanges(Choices):
    """Changes of a session; what is not sent stays."""

    model_config = STRICT

    name: str = Field(default="", max_length=1000)
    """An empty name changes nothing; a long one is cut."""
    starred: bool = False


class UploadReference(Schema):
    """Finished upload, of which a session is made."""

    model_config = STRICT

    upload: str = Field(max_length=100)
    """Last part of the upload's address."""


class Candidate(Schema):
    """Mask that a single click may mean."""

    score: float
    """0 to 1."""
    name: str
    """Extent of it, such as "part"; empty: the model does not say."""
    picture: str
    """Cut-out of the frame with the mask, as a data URL."""


class Candidates(Schema):
    """Masks that a single click may mean, the best first."""

    items: list[Candidate]


class Progress(Schema):
    """Progress of a run."""

    stage: Literal["matte", "render"]
    """"matte": the model runs, and finished frames are rendered alongside; "render": only rendering."""
    done: int
    total: int
    """Frames; 0: the run waits, such as for a node of a Ray cluster."""
    rate: float
    """Frames per second."""
    left: float | None
    """Seconds; null: unknown."""
    checks: list[float]
    """Times to look at, in seconds: the model lost confidence there."""


class Run(Schema):
    """Run of a session."""

    id: UUID
    session: UUID
    state: State
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None
    """Why it ended without a result, in the language of `Accept-Language`."""
    progress: Progress | None
    queue_position: int | None
    """0: it is running; 1: it is next; null: it is neither."""
    eta: float | None
    """Seconds until it is expected to start; null: unknown."""
    results: list[Result]


PROBLEMS: dict[int | str, dict[str, Any]] = {"default": {"model": Problem, "description": "Problem"}}
"""Responses that every operation may have."""
