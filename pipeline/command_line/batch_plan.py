"""Jobs of a batch: from files, folders, patterns and lists to the arguments of one `run` each."""

from __future__ import annotations

import argparse
import csv
import glob
import hashlib
import json
import mimetypes
import string
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TextIO

from pipeline import formats, models
from pipeline.clip import CONTAINER_SUFFIXES, PICTURE_SUFFIXES
from pipeline.command_line.options import add_matte_options, add_render_options
from pipeline.errors import InputError
from pipeline.video.pictures.numbered import is_picture

DEFAULT_NAME = "{stem}.{suffix}"
_LISTS = (".csv", ".jsonl")
_MARKS = ("point", "exclude", "box", "stroke", "erase", "prompts", "words")

_SUFFIXES = {*CONTAINER_SUFFIXES, *PICTURE_SUFFIXES, ".webm", ".gif", ".apng"}


@dataclass(frozen=True)
class BatchJob:
    """One run of a batch."""

    source: Path
    output: Path
    arguments: tuple[str, ...]
    """Options of `run`, without the two files."""

    @property
    def fingerprint(self) -> str:
        """A digest of what decides the result: the options, and the size and time of every file they name."""
        named = [self.source, *(Path(text.partition("=")[2]) for text in self.arguments if "=" in text)]
        files = [(str(path), *_identity(path)) for path in named]
        return hashlib.sha256(json.dumps([files, self.arguments, str(self.output)]).encode()).hexdigest()


class _LineParser(argparse.ArgumentParser):
    """A parser of the options of one line of a list: its errors are exceptions."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def plan_jobs(inputs: Iterable[str], folder: Path, options: argparse.Namespace) -> list[BatchJob]:
    """Return the jobs of a batch, in order, each source with its output in `folder`.

    Raises InputError for inputs that do not exist, for lists that cannot be read, and where two jobs would
    write the same file.
    """
    jobs = [
        _plan_job(number, source, own, folder)
        for number, (source, own) in enumerate(_read_inputs(inputs, folder, options), 1)
    ]
    _check_written(jobs)
    return jobs


def _check_written(jobs: list[BatchJob]) -> None:
    """Raise InputError where two jobs would write the same file."""
    written: dict[str, BatchJob] = {}
    for job in jobs:
        mattes = [text.partition("=")[2] for text in job.arguments if text.startswith("--matte=")]
        for path in (str(job.output), *mattes):
            other = written.setdefault(path, job)
            if other is not job:
                raise InputError(
                    "command.batch_same_output",
                    name=path,
                    one=str(other.source),
                    other=str(job.source),
                    example="{number}_{stem}.{suffix}",
                )


def _read_inputs(
    inputs: Iterable[str], folder: Path, options: argparse.Namespace
) -> Iterator[tuple[Path, argparse.Namespace]]:
    for text in inputs:
        path = Path(text)
        if path.suffix.lower() in _LISTS and path.is_file():
            yield from _read_list(path, options)
        elif path.is_dir():
            own = folder.resolve()
            files = (file for file in sorted(path.rglob("*")) if own not in file.resolve().parents)
            yield from ((file, options) for file in files if _is_clip(file))
        elif path.exists():
            yield path, options
        elif found := [Path(name) for name in sorted(glob.glob(text, recursive=True))]:  # noqa: PTH207 (also of an absolute path)
            yield from ((file, options) for file in found if file.is_file())
        else:
            raise InputError("command.batch_no_input", name=text)


def _is_clip(path: Path) -> bool:
    kind, _encoding = mimetypes.guess_type(path.name)
    is_named_so = path.suffix.lower() in _SUFFIXES or (kind or "").startswith("video/")
    return is_named_so and path.is_file() and not path.name.startswith(".")


def _read_list(path: Path, options: argparse.Namespace) -> Iterator[tuple[Path, argparse.Namespace]]:
    """Yield the source of each line with its options, which take the place of those of the whole batch."""
    number = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = _read_csv(file) if path.suffix.lower() == ".csv" else enumerate(file, 1)
            for number, written in lines:  # noqa: B007 (for the error)
                if isinstance(written, str) and not written.strip():
                    continue
                line = json.loads(written) if isinstance(written, str) else written
                if not isinstance(line, dict) or not isinstance(source := line.pop("input", None), str):
                    raise ValueError("it names no input")
                yield Path(source), _with_line(options, line)
    except (OSError, ValueError, csv.Error) as error:
        raise InputError("command.batch_line", name=path.name, line=number, reason=str(error)) from error


def _read_csv(file: TextIO) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of each line with its cells by heading; empty cells are left out."""
    reader = csv.DictReader(file)
    for row in reader:
        if None in row:
            raise ValueError(f"line {reader.line_num} has more cells than there are headings")
        yield reader.line_num, {name.strip(): value.strip() for name, value in row.items() if value}


def _with_line(options: argparse.Namespace, line: Mapping[str, Any]) -> argparse.Namespace:
    """Return a batch's options with those of a line in place of the same ones. Raises ValueError."""
    own = argparse.Namespace(**vars(options))
    arguments = []
    for name, value in line.items():
        if name == "output":
            own.name = str(value)
            continue
        dest = name.replace("-", "_").lower()
        action = _OPTIONS.get(dest)
        if action is None:
            raise ValueError(f"there is no option {name!r}")
        setattr(own, dest, action.default)
        if action.nargs == 0:  # a switch
            arguments += [action.option_strings[0]] if _is_true(name, value) else []
        elif value is not None:
            values = value if isinstance(value, list) else [value]
            arguments += [f"{action.option_strings[0]}={one}" for one in values]
    return _PARSER.parse_args(arguments, own)


def _is_true(name: str, value: object) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    try:
        return words[str(value).lower()]
    except KeyError:
        raise ValueError(f"{name} is {value!r}, and must be true or false") from None


def _plan_job(number: int, source: Path, options: argparse.Namespace, folder: Path) -> BatchJob:
    model = options.model
    if model is None:
        marked = any(getattr(options, name) for name in _MARKS)
        model = models.choose_default(marked)[0]
    form = formats.by_key(options.format) if options.format else formats.default_for(is_picture(source))
    fields = {
        "stem": source.stem,
        "suffix": form.suffix.lstrip("."),
        "model": model,
        "number": f"{number:04}",
    }
    output = folder / _fill(options.name, fields).rstrip(".")
    if folder.resolve() not in output.resolve().parents:
        raise InputError("command.batch_outside", name=options.name, folder=str(folder))
    own = argparse.Namespace(**vars(options))
    if options.matte is not None:
        own.matte = Path(_fill(str(options.matte), fields))
    return BatchJob(source, output, tuple(_to_arguments(own)))


def _fill(template: str, fields: Mapping[str, str]) -> str:
    """Fill the fields of a name's template. Raises InputError for others."""
    try:
        parts = [*string.Formatter().parse(template)]
    except ValueError:
        parts = [("", template, "", None)]
    unknown = [name for _text, name, _spec, _conversion in parts if name is not None and name not in fields]
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in fields)
        raise InputError("command.batch_field", name=template, fields=known)
    return template.format(**fields)


def _to_arguments(options: argparse.Namespace) -> Iterator[str]:
    """Yield the options of a `run` that differ from their defaults, as it is called with them."""
    for dest, action in _OPTIONS.items():
        value = getattr(options, dest)
        if value == action.default or dest == "json":
            continue
        name = action.option_strings[0]
        if action.nargs == 0:
            yield name
        else:
            yield from (f"{name}={one}" for one in (value if isinstance(value, list) else [value]))


def _identity(path: Path) -> tuple[int, int]:
    """Return the size and the time of change, in ns, of a file; of none, -1."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _create_parser() -> _LineParser:
    parser = _LineParser(add_help=False, allow_abbrev=False)
    add_matte_options(parser)
    add_render_options(parser)
    return parser


_PARSER = _create_parser()
_OPTIONS = {action.dest: action for action in _PARSER._actions}
"""The options of `run`, by the name that a list has for them."""
