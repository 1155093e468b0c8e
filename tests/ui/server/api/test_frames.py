"""Frames of a session at the API."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.ui.server.api.conftest import Api, check_problem
from ui.server.api.negotiation import choose_type

pytestmark = pytest.mark.usefixtures("at_once")

BOX = {"prompts": [{"box": [20, 15, 140, 80]}]}


def test_a_frame_is_sent_as_png_or_jpeg_in_its_own_size(team: Api) -> None:
    id = team.make(team.users["Ana"])
    client = team.program("Ana")
    client.put(f"/sessions/{id}/prompts", json=BOX)
    pictures = {}
    for view, accept, kind, mode in (
        ("original", "*/*", "PNG", "RGB"),
        ("original", "image/jpeg", "JPEG", "RGB"),
        ("original", "image/png;q=0.5, image/jpeg", "JPEG", "RGB"),
        ("mask", "image/*", "PNG", "RGB"),
        ("cutout", "image/png", "PNG", "RGBA"),
        ("over", "image/jpeg;q=0.1", "JPEG", "RGB"),
    ):
        answer = client.get(f"/sessions/{id}/frames/0", params={"view": view}, headers={"accept": accept})
        assert answer.status_code == 200, answer.text
        picture = Image.open(io.BytesIO(answer.content))
        assert (picture.format, picture.mode, picture.size) == (kind, mode, (160, 90))
        assert answer.headers["content-type"] == f"image/{kind.lower()}"
        assert answer.headers["vary"] == "Accept"
        pictures[view, kind] = np.asarray(picture).astype(int)
    near = np.abs(pictures["original", "PNG"] - pictures["original", "JPEG"])
    assert near.mean() < 4
    alpha = pictures["cutout", "PNG"][..., 3]
    assert alpha[0].max() == 0 and alpha.max() == 255
    assert (pictures["mask", "PNG"] != pictures["original", "PNG"]).any()


def test_what_cannot_be_shown_is_a_problem(team: Api) -> None:
    id = team.make(team.users["Ana"])
    client = team.program("Ana")
    address = f"/sessions/{id}/frames"
    jpeg = {"accept": "image/jpeg"}
    check_problem(client.get(f"{address}/0?view=cutout", headers=jpeg), 406)
    check_problem(client.get(f"{address}/0", headers={"accept": "text/html"}), 406)
    client.patch(f"/sessions/{id}", json={"background": "transparent"})
    check_problem(client.get(f"{address}/0?view=over", headers=jpeg), 406)
    check_problem(client.get(f"{address}/11?view=cutout"), 409)  # only a run carries a mask there
    check_problem(client.get(f"{address}/12"), 404, code="video.no_such_frame")
    for malformed in ("-1", "x", "1.5", "9" * 30, "0?view=negative", "0?exact=perhaps"):
        check_problem(client.get(f"{address}/{malformed}"), 422)


def test_candidates_of_a_click_are_listed(team: Api) -> None:
    id = team.make(team.users["Ana"])
    client = team.program("Ana")
    address = f"/sessions/{id}/frames/0/candidates"
    assert client.get(address).json() == {"items": []}
    client.put(f"/sessions/{id}/prompts", json={"prompts": [{"points": [{"x": 80, "y": 45}]}]})
    items = client.get(address).json()["items"]
    assert items and all(each["picture"].startswith("data:image/") for each in items)
    assert client.get(address, params={"object": 2}).json() == {"items": []}
    check_problem(client.get(address, params={"object": 0}), 422)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "image/png"),
        ("", "image/png"),
        ("image/jpeg", "image/jpeg"),
        ("IMAGE/JPEG ; q=1.0", "image/jpeg"),
        ("image/*;q=0.2, image/jpeg;q=0.1", "image/png"),
        ("image/png;q=0, */*", "image/jpeg"),
        ("image/png;q=0, image/jpeg;q=0", None),
        ("image/webp", None),
        (";;,,q=", None),
        ("image/jpeg;q=many", "image/jpeg"),
    ],
)
def test_the_preferred_type_is_chosen(accept: str | None, chosen: str | None) -> None:
    assert choose_type(accept, ["image/png", "image/jpeg"]) == chosen
