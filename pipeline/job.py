"""Job and Progress: the pipeline's request and its progress, both plain data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pipeline import devices, formats, models, prompts
from pipeline.clip import MAX_RATE, Clip
from pipeline.compositing import aspect, background
from pipeline.compositing.background import Background, Blur, Colour, Footage, Transparent, Words
from pipeline.compositing.edges import CLEAN, Edges
from pipeline.compositing.light import NONE, Light
from pipeline.errors import FormatError, InputError, PromptError
from pipeline.formats import Quality
from pipeline.languages.messages import Message
from pipeline.models.matte_in import BorrowedMatte
from pipeline.prompts import Object, Prompt
from pipeline.video.pictures.srgb import MAX_CLAIMED_PIXELS

SCALES = (1, 2, 4)
"""Times as wide and as high as its source that a result can be."""

Sound = Literal["own", "behind", "none"]
"""Source of the result's sound: the video itself, the background video, or none."""

GREEN = Colour(0, 177, 64)
"""Chroma-key green, the default background."""


_PLAIN: dict[str, Any] = {
    **dict.fromkeys(("model", "format", "sound", "quality", "device"), str),
    "start": float | int,
    "end": float | int | None,
    "crop": str | None,
    "hair": bool,
    "upscale": int,
    "decoder": str,
}
"""Fields that JSON holds unchanged, with the type that each must have."""


@dataclass(frozen=True)
class Job:
    """All settings that a result depends on. Nothing else changes it."""

    source: Path
    output: Path
    model: str = "grabcut"
    prompts: tuple[Prompt, ...] = ()
    objects: tuple[Object, ...] = ()
    """Objects that the prompts refer to; one that is not listed has no name and is in the result."""
    background: Background = GREEN
    format: str = "mp4"
    start: float = 0.0
    """Seconds from the first frame; frames from here on are in the result."""
    end: float | None = None
    """Seconds; the first frame not before it is no longer in the result. None: the whole rest."""
    sound: Sound = "own"
    quality: Quality = "high"
    edges: Edges = CLEAN
    light: Light = NONE
    """Shadow and light of the composite; a matte, and a foreground with its matte apart, have none."""
    rate: Fraction | None = None
    """Constant frame rate of the result, in frames a second; None: each frame keeps its own time."""
    hardware: bool = False
    """Encode on a graphics card if there is a suitable one."""
    device: str = "auto"
    decoder: str = "auto"
    """Decoder of a video whose frames stay on a device: one of `devices.DECODERS`."""
    weights: Path | None = None
    """The model's weights, a file or a folder; None: where `pipeline.weights` looks."""
    deflicker: bool = True
    """Deflicker the mattes of a model that works frame by frame; "stable" in JSON."""
    matte: Path | None = None
    """File to keep the matte in and to reuse it from; None: it is not kept."""
    crop: str | None = None
    """Aspect ratio of the result, a key of `aspect.ASPECTS`, by a window that follows the subject; None: the
    whole frame."""
    matte_in: BorrowedMatte | None = None
    """Matte of another tool, for the model `matte-in`; others do not use it."""
    classes: tuple[str, ...] = ()
    """Classes of things that are the subject, for a model that knows classes; others do not use them."""
    hair: bool = False
    """Find the alpha along edges anew, where the weights for it are present."""
    upscale: int = 1
    """Times as wide and as high as its source that the result is, of `SCALES`; for one frame alone."""
    source_rate: Fraction | None = None
    """Frames a second of a source whose pictures have no times; None: the usual ones. Others ignore it."""

    def check(self, clip: Clip) -> None:
        """Raise InputError where the job does not fit the clip or contradicts itself."""
        card = models.card(self.model)
        form = formats.by_key(self.format)
        self.check_choices()
        devices.check_name(self.device)
        if form.still and not clip.is_still:
            raise FormatError(
                "choices.one_picture",
                name=clip.name,
                frames=clip.frames,
                label=form.label,
                able=formats.by_key("png").label,
            )
        if self.is_filled_around and (not clip.is_still or self.follows_subject(clip)):
            raise InputError("product.one_whole_picture")
        if self.upscale != 1 and not clip.is_still:
            raise InputError("choices.upscale_video", name=clip.name, frames=clip.frames)
        width, height = self.output_size(clip)
        if self.upscale != 1 and width * height > MAX_CLAIMED_PIXELS:
            raise InputError(
                "choices.upscale_too_large",
                name=clip.name,
                width=width,
                height=height,
                most=MAX_CLAIMED_PIXELS // 1_000_000,
            )
        if form.max_size is not None and not form.accepts_size(width, height):
            large = [
                f.label
                for f in formats.FORMATS.values()
                if f.accepts_size(width, height)
                and f.content == form.content
                and not (f.still and not clip.is_still)
                and not (isinstance(self.background, Transparent) and f.needs_background)
            ]
            largest_width, largest_height = form.max_size
            if not large:
                raise FormatError(
                    "choices.too_large",
                    name=clip.name,
                    width=width,
                    height=height,
                    label=form.label,
                    most_width=largest_width,
                    most_height=largest_height,
                )
            raise FormatError(
                "choices.too_large_for_format",
                name=clip.name,
                width=width,
                height=height,
                label=form.label,
                most_width=largest_width,
                most_height=largest_height,
                able=", ".join(large),
            )
        if not 0 <= self.start < clip.duration:
            raise InputError("marks.start_outside", start=self.start, name=clip.name, length=clip.duration)
        if self.end is not None and not self.start < self.end < math.inf:
            raise InputError("marks.end_not_after_start", end=self.end, start=self.start)
        if card.given and self.matte_in is None:
            raise InputError("matte_in.needed")
        for prompt in self.prompts:
            prompt.check(clip.width, clip.height, clip.duration)
            chosen = prompt.candidate is not None
            if (
                (prompt.points and not card.points)
                or (prompt.initialises_anew and not card.box)
                or (chosen and not card.candidates)
            ):
                raise PromptError("marks.not_taken", label=card.label)
        if self.prompts and not self.active_prompts:
            raise PromptError("marks.all_switched_off")
        if not card.automatic and not any(p.initialises or p.paints for p in self.active_prompts):
            raise PromptError("marks.needed", label=card.label)

    def check_choices(self) -> None:
        """Raise InputError where a choice is unknown or contradicts another, whatever the clip is."""
        form = formats.by_key(self.format)
        if isinstance(self.background, Transparent) and form.needs_background:
            able = (f for f in formats.FORMATS.values() if f.alpha and f.still == form.still)
            supported = ", ".join(f.label for f in able)
            raise FormatError("choices.not_transparent", label=form.label, able=supported)
        if self.crop is not None and self.crop not in aspect.ASPECTS:
            raise InputError("choices.aspect_ratio", value=self.crop, known=", ".join(aspect.ASPECTS))
        if self.upscale not in SCALES:
            raise InputError("choices.upscale", value=self.upscale, known=", ".join(map(str, SCALES)))
        if self.upscale != 1 and form.content != "picture":
            raise FormatError("choices.upscale_format", label=form.label)
        self.edges.check()
        self.light.check()
        if self.quality not in formats.QUALITIES:
            raise InputError("choices.quality", value=self.quality, known=", ".join(formats.QUALITIES))
        if self.sound not in get_args(Sound):
            raise InputError("choices.sound", value=self.sound, known=", ".join(get_args(Sound)))
        if self.sound == "behind" and not isinstance(self.background, Footage):
            raise InputError("background.no_video_for_sound")
        if any(rate is not None and not 1 <= rate <= MAX_RATE for rate in (self.rate, self.source_rate)):
            raise InputError("choices.rate", most=MAX_RATE)
        self.check_classes()

    @property
    def is_per_frame(self) -> bool:
        """True if the model predicts each frame without the others: no mark initialises a tracker."""
        card = models.card(self.model)
        return card.per_frame and not (card.tracker and any(p.initialises for p in self.active_prompts))

    def check_classes(self) -> None:
        """Raise InputError where the model knows classes and none is chosen, or one that it does not know."""
        card = models.card(self.model)
        if card.classes and not self.classes:
            raise InputError("choices.classes_needed", label=card.label, known=", ".join(card.classes))
        for name in self.classes if card.classes else ():
            if name not in card.classes:
                raise InputError("choices.no_such_class", name=name, known=", ".join(card.classes))

    @property
    def active_prompts(self) -> tuple[Prompt, ...]:
        """Prompts of the objects that are switched on."""
        off = {item.number for item in self.objects if not item.on}
        return tuple(prompt for prompt in self.prompts if prompt.object not in off)

    @property
    def takes_kept_matte(self) -> bool:
        """True if a kept matte is enough for the result; of several objects it is the union only."""
        apart = formats.by_key(self.format).objects_apart
        return not (apart and len(prompts.group_by_object(self.active_prompts)) > 1)

    @property
    def is_filled_around(self) -> bool:
        """True if the background is filled in around the subject, by words."""
        return isinstance(self.background, Words) and self.background.around

    def result_size(self, clip: Clip) -> tuple[int, int]:
        """Return width and height of the composite, in pixels."""
        if self.crop is None:
            return clip.width, clip.height
        return aspect.window_size(self.crop, clip.width, clip.height)

    def output_size(self, clip: Clip) -> tuple[int, int]:
        """Return width and height of the result, in pixels, before the format pads them."""
        width, height = self.result_size(clip)
        return width * self.upscale, height * self.upscale

    def follows_subject(self, clip: Clip) -> bool:
        """Return True if the result is smaller than the frame, so that a window has to follow the subject."""
        return self.result_size(clip) != (clip.width, clip.height)

    @property
    def is_surveyed(self) -> bool:
        """True if the light of the result depends on a survey of the clip, see `rendering.survey`."""
        # A cut-out has no background to match, and a blurred one has the subject's own light and shadow.
        kept = self.light.keep > 0 and not isinstance(self.background, Blur)
        matched = self.light.match > 0 and not isinstance(self.background, Transparent | Blur)
        return (kept or matched) and formats.by_key(self.format).composited

    @property
    def shows_plate(self) -> bool:
        """True if the result shows what stands behind the subject."""
        return formats.by_key(self.format).content == "plate"

    @property
    def needs_survey(self) -> bool:
        """True if the clip is surveyed before anything is rendered, with all mattes."""
        return self.is_surveyed or self.shows_plate

    def high_bit_depth(self, clip: Clip) -> bool:
        """Return True if the result has more than 8 bits: the video has them and the format supports them."""
        alpha = isinstance(self.background, Transparent)
        return clip.depth > 8 and formats.by_key(self.format).supports_high_bit_depth(alpha)

    def to_json(self, folder: Path) -> dict[str, Any]:
        """Return the job as JSON, with paths relative to `folder`, so that the folder may move."""

        def seen(path: Path) -> str:
            return str(path.relative_to(folder) if path.is_relative_to(folder) else path)

        matte = self.matte_in
        return {
            "source": seen(self.source),
            "output": seen(self.output),
            "model": self.model,
            "prompts": prompts.to_json(self.prompts, folder),
            "objects": [item.to_json() for item in self.objects],
            "background": background.format_spec(self.background, folder),
            "format": self.format,
            "start": self.start,
            "end": self.end,
            "sound": self.sound,
            "quality": self.quality,
            "edges": self.edges.to_json(),
            "rate": None if self.rate is None else str(self.rate),
            "hardware": self.hardware,
            "device": self.device,
            "weights": None if self.weights is None else seen(self.weights),
            "stable": self.deflicker,
            "matte": None if self.matte is None else seen(self.matte),
            # Only where it is set: the keys of results that were made before are those of today.
            **({} if self.crop is None else {"crop": self.crop}),
            **({} if self.light == NONE else {"light": self.light.to_json()}),
            **({"hair": True} if self.hair else {}),
            **({} if self.upscale == 1 else {"upscale": self.upscale}),
            **({} if self.decoder == "auto" else {"decoder": self.decoder}),
            **({"classes": list(self.classes)} if self.classes else {}),
            **({} if matte is None else {"matte_in": matte.to_json(seen(matte.path))}),
            **({} if self.source_rate is None else {"source_rate": str(self.source_rate)}),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any], folder: Path) -> Self:
        """Read a job from JSON; raises InputError where `data` is not what `to_json` writes."""
        try:
            job = cls._from_json(data, folder)
            for name, kind in _PLAIN.items():
                if not isinstance(getattr(job, name), kind):
                    raise TypeError(name)
            if not all(isinstance(name, str) for name in job.classes):
                raise TypeError("classes")
            if job.crop is not None and job.crop not in aspect.ASPECTS:
                raise ValueError(job.crop)
            return job
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise InputError("choices.unreadable") from error

    @classmethod
    def _from_json(cls, data: dict[str, Any], folder: Path) -> Self:
        def path(key: str) -> Path | None:
            return None if data.get(key) is None else folder / data[key]

        def rate(key: str) -> Fraction | None:
            return None if data.get(key) is None else Fraction(data[key])

        matte = data.get("matte_in")
        plain = {key: value for key, value in data.items() if key != "stable"}
        return cls(
            **plain
            | {
                "deflicker": data.get("stable", cls.deflicker),
                "source": folder / data["source"],
                "output": folder / data["output"],
                "prompts": prompts.from_json(data["prompts"], folder),
                "background": background.parse(data["background"], folder),
                "objects": prompts.objects_from_json(data.get("objects", [])),
                "sound": {True: "own", False: "none"}.get(data["sound"], data["sound"]),
                "edges": Edges.from_json(data.get("edges", {})),
                "light": Light.from_json(data.get("light", {})),
                "rate": rate("rate"),
                "source_rate": rate("source_rate"),
                "weights": path("weights"),
                "matte": path("matte"),
                "classes": tuple(data.get("classes", ())),
                "matte_in": None if matte is None else BorrowedMatte.from_json(matte, folder),
            }
        )


@dataclass(frozen=True)
class Progress:
    """Progress of a job."""

    stage: Literal["matte", "render"]
    """"matte": the model runs, and finished frames are rendered alongside; "render": only rendering."""
    done: int
    total: int
    """Frames; the total is the container's number, of which some may not be decodable; 0: it waits."""
    rate: float
    """Frames per second since the stage began."""
    left: float | None
    """Seconds left; None while that is unknown."""
    frames: int = 0
    """Frames written to the result."""
    checks: tuple[float, ...] = ()
    """Times to review, in seconds from the first frame: the model lost confidence there."""
    notes: tuple[Message, ...] = ()
    """Settings that could not be followed, such as a missing encoder; of a job that waits: for what."""

    @property
    def waits_for(self) -> Message | None:
        """Thing that the job waits for, such as a node of a cluster; None: nothing, or it has only begun."""
        return self.notes[0] if self.notes and not self.total else None

    def to_json(self) -> dict[str, Any]:
        """Return the progress as JSON: `notes` as sentences in English, `messages` as they are, if any."""
        data = vars(self) | {"checks": list(self.checks), "notes": [str(note) for note in self.notes]}
        return data | {"messages": [note.to_json() for note in self.notes]} if self.notes else data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read progress from JSON; raises InputError where `data` is not what `to_json` writes."""
        try:
            fields = {key: value for key, value in data.items() if key != "messages"}
            notes = tuple(Message.from_json(note) for note in data.get("messages", ()))
            return cls(**fields | {"checks": tuple(data.get("checks", ())), "notes": notes})
        except (AttributeError, LookupError, TypeError) as error:
            raise InputError("choices.unreadable") from error
