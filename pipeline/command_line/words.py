"""Words as the command line gives them: turned into prompts, and shown, before anything else is done."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from dataclasses import replace

from pipeline import models
from pipeline.clip import Clip
from pipeline.command_line.weights import fetch_weights
from pipeline.command_output import print_note, show_download
from pipeline.errors import InputError
from pipeline.imaging.detection import Hit, check_threshold, split_phrases
from pipeline.job import Job
from pipeline.keys import pts_range
from pipeline.languages.messages import Message
from pipeline.models import helpers, word_networks
from pipeline.prompts import Box, Prompt, normalise
from pipeline.propagation import words
from pipeline.weights.download import download_files


def find_words(job: Job, clip: Clip, options: argparse.Namespace) -> Job:
    """Return the job with boxes of what `--words` names as objects behind its own; prints them.

    Fetches the network's weights if they are missing. Raises InputError where nothing is found, and as
    `Job.check` for a job that no box would mend.
    """
    phrases = split_phrases(options.words)
    network, threshold = options.words_model, options.words_threshold
    if threshold is None:
        threshold = word_networks.THRESHOLDS[network]
    check_threshold(threshold)
    card = models.card(job.model)
    if not card.box:
        raise InputError("words.no_boxes", label=card.label)
    whole = Box(0, 0, clip.width, clip.height)
    marks = [Prompt(time, box=whole) for time in (job.start, *options.words_again)]
    replace(job, prompts=normalise((*job.prompts, *marks))).check(clip)
    if network == word_networks.SAM3:
        fetch_weights(models.card(word_networks.SAM3), options)
    else:
        show_download(download_files(helpers.GROUNDING_DINO.weights), json_lines=options.json)
    detect = words.load_detector(job.device, network)
    taken = max((prompt.object for prompt in job.prompts), default=0)
    hits: tuple[Hit, ...] = ()
    found = words.search(clip, pts_range(job, clip), phrases, detect, threshold, options.words_again)
    with closing(found) as steps:
        for step in steps:
            hits = step.hits
    missing = [phrase for phrase in phrases if phrase not in {hit.phrase for hit in hits}]
    if not hits:
        raise InputError("words.not_found", words=", ".join(missing))
    hits = tuple(hit._replace(prompt=replace(hit.prompt, object=hit.prompt.object + taken)) for hit in hits)
    _show(hits, json_lines=options.json)
    if missing:
        print_note(Message("words.not_found", {"words": ", ".join(missing)}))
    return replace(job, prompts=normalise((*job.prompts, *(hit.prompt for hit in hits))))


def _show(hits: tuple[Hit, ...], *, json_lines: bool) -> None:
    if json_lines:
        found = [
            {"words": hit.phrase, "score": round(hit.score, 3), "prompt": hit.prompt.to_json()}
            for hit in hits
        ]
        print(json.dumps({"stage": "words", "found": found}), flush=True)
        return
    for hit in hits:
        number, box = hit.prompt.object, hit.prompt.box
        assert box is not None
        mark = f"{box.x0:g},{box.y0:g},{box.x1:g},{box.y1:g}@{hit.prompt.time:g}"
        print(f"object {number}: {hit.phrase}, box {mark}, score {hit.score:.2f}", file=sys.stderr)
