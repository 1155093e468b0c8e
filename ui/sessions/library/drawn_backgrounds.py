"""Pictures of a session that were made of words: four of them to choose from, and the one that was chosen."""

from __future__ import annotations

import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from pipeline.clip import Clip
from pipeline.compositing import background
from pipeline.compositing.background import Background, Footage, Picture, Words
from pipeline.errors import BackgroundError, InputError
from pipeline.files import read_json, replacing, write_json
from pipeline.generation import backgrounds
from pipeline.generation.product import Facts
from pipeline.job import Job

FOLDER = "words"
"""Name of their folder in a session's."""

_LISTED = "proposals.json"
_FACTS = "around.json"
_AROUND = "background-around-"


@dataclass(frozen=True)
class Proposals:
    """Pictures that were made of the same words, by their seeds."""

    text: str = ""
    seeds: tuple[int, ...] = ()

    def words(self, seed: int) -> Words:
        """Return the words of one of them. Raises BackgroundError for a seed of none of them."""
        if seed not in self.seeds:
            raise BackgroundError("background.words_not_made")
        return Words(self.text, seed)


def save(folder: Path, proposals: Proposals) -> None:
    """Save which pictures are proposed in a session's folder."""
    write_json(folder / FOLDER / _LISTED, {"text": proposals.text, "seeds": list(proposals.seeds)})


def read(folder: Path) -> Proposals:
    """Read which pictures are proposed in a session's folder; none where that cannot be read."""
    data = read_json(folder / FOLDER / _LISTED)
    try:
        return Proposals(str(data["text"]), tuple(map(int, data["seeds"])))
    except (KeyError, TypeError, ValueError):
        return Proposals()


def find(folder: Path, clip: Clip, job: Job, words: Words) -> Path:
    """Return the picture of words in a session's folder. Raises BackgroundError where it is not made."""
    path = folder / FOLDER / backgrounds.picture_name(words, *job.result_size(clip))
    if words.around or not path.is_file():
        raise BackgroundError("background.words_not_made")
    return path


def take(folder: Path, clip: Clip, job: Job, words: Words) -> Picture:
    """Copy the picture of words to where a session's backgrounds are; raises as `find`."""
    made = find(folder, clip, job, words)
    target = folder / f"background-words-{words.seed}-{made.stem[:16]}.png"
    with replacing(target) as part:
        shutil.copyfile(made, part)
    return Picture(target, words.fit, words.enlarge)


def parse(spec: str, folder: Path, clip: Clip, job: Job) -> Background:
    """Return the background of a specification for a session, the picture of words among them.

    Raises InputError for a file other than the present one, BackgroundError as `background.parse` and `take`.
    """
    behind = background.parse(spec, folder)
    if isinstance(behind, Picture | Footage) and behind.path != getattr(job.background, "path", None):
        raise InputError("background.not_uploaded")
    return take(folder, clip, job, behind) if isinstance(behind, Words) else behind


def available(folder: Path, clip: Clip, job: Job) -> Proposals:
    """Return those of the proposed pictures that are there, in the shape of the job's result."""
    proposals, size = read(folder), job.result_size(clip)
    names = {seed: backgrounds.picture_name(proposals.words(seed), *size) for seed in proposals.seeds}
    there = tuple(seed for seed, name in names.items() if (folder / FOLDER / name).is_file())
    return Proposals(proposals.text, there)


def chosen_seed(folder: Path, clip: Clip, job: Job) -> int | None:
    """Return the seed of the proposed picture that is the job's background; None: it is none of them."""
    behind = job.background
    if not isinstance(behind, Picture):
        return None
    proposals = read(folder)
    for seed in proposals.seeds:
        name = backgrounds.picture_name(proposals.words(seed), *job.result_size(clip))
        if behind.path.name == f"background-words-{seed}-{Path(name).stem[:16]}.png":
            return seed
    return None


def path_around(folder: Path, seed: int) -> Path:
    """Return the file, in a session's folder, for a background that is filled in with a seed."""
    return folder / f"{_AROUND}{seed}-{uuid4().hex[:8]}.png"


def next_seed_around(job: Job) -> int:
    """Return the seed behind that of a job's background which was filled in; 0 where it is another one."""
    name = job.background.path.name if isinstance(job.background, Picture) else ""
    filled = re.match(re.escape(_AROUND) + r"(\d+)-", name)
    return int(filled[1]) + 1 if filled else 0


def save_facts(path: Path, facts: Facts) -> None:
    """Save the facts of the subject around which a file of a session's folder was filled in."""
    write_json(path.parent / FOLDER / _FACTS, {"file": path.name, **asdict(facts)})


def read_facts(folder: Path, job: Job) -> Facts | None:
    """Read the facts of the subject around which a job's background was filled in; None for another one."""
    data = read_json(folder / FOLDER / _FACTS)
    behind = job.background
    try:
        filled = isinstance(behind, Picture) and data.pop("file") == behind.path.name
        return Facts(**data) if filled else None
    except (AttributeError, KeyError, TypeError):
        return None


def clear(folder: Path, clip: Clip, job: Job, kept: Proposals) -> None:
    """Delete the pictures in a session's folder that are not among those that are `kept`."""
    size = job.result_size(clip)
    names = {backgrounds.picture_name(kept.words(seed), *size) for seed in kept.seeds}
    for path in (folder / FOLDER).glob("*.png"):
        if path.name not in names:
            path.unlink(missing_ok=True)
