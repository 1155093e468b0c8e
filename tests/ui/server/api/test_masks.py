"""Masks of single frames, sent to the API."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.ui.server.api.conftest import Api, check_problem

pytestmark = pytest.mark.usefixtures("at_once")


def png(width: int, height: int) -> bytes:
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 2] = 255
    data = io.BytesIO()
    Image.fromarray(mask).save(data, "PNG")
    return data.getvalue()


def test_a_mask_is_added_and_sent_back_with_the_other_marks(team: Api) -> None:
    id = team.make(team.users["Ana"])
    client = team.program("Ana")
    clip = client.get(f"/sessions/{id}").json()["clip"]
    picture = png(clip["width"], clip["height"])
    told = client.post(
        f"/sessions/{id}/masks",
        params={"time": 0.1, "object": 3, "invert": True},
        files={"file": ("mask.png", picture)},
    )
    assert told.status_code == 200, told.text
    (prompt,) = told.json()["prompts"]
    assert (prompt["time"], prompt["object"], prompt["mask"]["invert"]) == (0.1, 3, True)
    assert (team.home / "sessions" / id / prompt["mask"]["file"]).is_file()
    again = {"time": 0.2, "mask": {"file": prompt["mask"]["file"]}}
    kept = client.put(f"/sessions/{id}/prompts", json={"prompts": [again]})
    assert kept.status_code == 200, kept.text
    assert kept.json()["prompts"][0]["mask"] == {"file": prompt["mask"]["file"], "invert": False}
    assert not [path for path in (team.home / "uploads").rglob("*") if path.is_file()]


def test_other_files_are_refused(team: Api) -> None:
    id = team.make(team.users["Ana"])
    client = team.program("Ana")
    check_problem(
        client.post(f"/sessions/{id}/masks", files={"file": ("mask.png", b"no picture")}),
        422,
        code="mask_in.unreadable",
    )
    for file in ("/etc/passwd", "mask-00000000.png"):
        answer = client.put(f"/sessions/{id}/prompts", json={"prompts": [{"mask": {"file": file}}]})
        check_problem(answer, 422, code="mask_in.not_uploaded")
    assert client.get(f"/sessions/{id}").json()["prompts"] == []
