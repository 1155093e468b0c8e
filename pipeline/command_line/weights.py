"""Weights as the command line fetches them: the licence first, then the files that are missing."""

from __future__ import annotations

import argparse

from pipeline import models
from pipeline.command_output import show_download
from pipeline.models import Card
from pipeline.weights import licences
from pipeline.weights.download import download_files


def fetch_weights(card: Card, options: argparse.Namespace) -> None:
    """Check the licence, then download the weights if they are missing.

    Raises WeightsError for a licence that is not acknowledged, and for a download that fails.
    """
    if options.accept_licence:
        acknowledge(card)
    models.check_licence(card)
    if card.weights is None:
        return
    show_download(download_files(card.weights), json_lines=options.json)


def acknowledge(card: Card) -> None:
    """Record that the user has acknowledged what the licence forbids, if anything."""
    if card.restriction:
        licences.acknowledge(card.key, card.licence_url)
