"""The field for words: what is found is an edit as any other; missing weights are offered."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.ui.conftest import Server
from tests.ui.page.test_page import Visit, ready, started
from tests.ui.page.test_stage import Fake, settled
from tests.ui.page.test_stage import address as address
from tests.ui.page.test_stage import fake as fake
from tests.ui.page.test_stage import opened as opened
from tests.ui.page.test_stage import tab as tab

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

Opened = Callable[..., Page]

FOUND = [
    {"words": "a dog", "prompt": {"time": 0.0, "box": [20, 30, 120, 200]}},
    {"words": "a dog", "prompt": {"time": 0.0, "box": [300, 60, 420, 260], "object": 2}},
]

NETWORKS = [{"key": "grounding-dino", "label": "GroundingDINO"}, {"key": "sam3", "label": "SAM 3"}]


def field(page: Page) -> Locator:
    return page.get_by_role("textbox", name="English words for what to keep")


def answer(page: Page, told: Any, status: int = 200) -> list[str]:
    """Answer each search with `told`; returns the addresses that are asked for."""
    asked: list[str] = []

    def respond(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=status, content_type="application/json", body=json.dumps(told))

    page.unroute("**/media/*/words?*")
    page.route("**/media/*/words?*", respond)
    return asked


def chips(page: Page) -> Locator:
    return page.locator("[data-part=chips] .name")


def message(page: Page) -> Locator:
    return page.locator("[data-part=message]")


def test_what_is_found_is_one_edit_that_can_be_undone(opened: Opened, fake: Fake) -> None:
    page = opened()
    asked = answer(page, {"ready": True, "found": FOUND})
    field(page).fill("a dog, ok?")
    field(page).press("Enter")
    settled(page, fake, 1)
    assert len(asked) == 1 and asked[0].endswith("/media/one/words?q=a+dog%2C+ok%3F")
    expect(chips(page)).to_have_text(["a dog", "a dog 2"])
    expect(message(page)).to_have_text("Found: 2")
    assert [(prompt.get("object", 1), prompt["box"]) for prompt in fake.prompts] == [
        (1, [20, 30, 120, 200]), (2, [300, 60, 420, 260])
    ]  # fmt: skip
    expect(page.locator("[data-part=boxes] > *")).to_have_count(2)
    page.locator("[data-act=undo]").click()
    settled(page, fake, 2)
    assert fake.prompts == [] and len(fake.edits[-1]["objects"]) == 1
    expect(message(page)).not_to_contain_text("Found")
    page.locator("[data-act=redo]").click()
    settled(page, fake, 3)
    expect(chips(page)).to_have_text(["a dog", "a dog 2"])


def test_the_frame_of_the_first_box_is_shown(opened: Opened, fake: Fake) -> None:
    page = opened()
    late = fake.session("one")["duration"] / 2
    answer(
        page, {"ready": True, "found": [{"words": "a hat", "prompt": {"time": late, "box": [1, 2, 30, 40]}}]}
    )
    field(page).fill("a hat")
    page.get_by_role("button", name="Find", exact=True).click()
    settled(page, fake, 1)
    expect(page.locator("[data-part=slider]")).not_to_have_value("0")
    expect(page.locator("[data-part=boxes] > *")).to_have_count(1)
    expect(message(page)).to_have_text("Found: 1")


def test_where_nothing_is_found_the_marks_stay(opened: Opened, fake: Fake) -> None:
    page = opened()
    answer(page, {"error": "Nothing was found for “a cat”."}, 422)
    field(page).fill("a cat")
    field(page).press("Enter")
    expect(message(page)).to_have_text("Nothing was found for “a cat”.")
    expect(page.locator("[data-part=find]")).to_have_text("Find")
    answer(page, None, 500)
    field(page).press("Enter")
    expect(message(page)).to_have_text("The search was not answered. Try again.")
    assert fake.edits == []


def test_keys_in_the_field_are_text(opened: Opened, fake: Fake) -> None:
    page = opened()
    expect(field(page)).to_have_value("")  # also after another video
    field(page).press_sequentially("box zebra")
    expect(field(page)).to_have_value("box zebra")
    expect(page.locator("[data-tool=box]")).to_have_attribute("aria-pressed", "false")


def test_a_model_without_boxes_has_no_field(opened: Opened) -> None:
    expect(opened(can_box=False).locator("[data-part=words]")).to_be_hidden()


def test_a_network_is_chosen_where_there_are_two(opened: Opened, fake: Fake) -> None:
    page = opened(words=NETWORKS)
    choice = page.get_by_role("combobox", name="Network for words")
    expect(choice).to_have_value("grounding-dino")
    expect(choice.locator("option")).to_have_text(["GroundingDINO", "SAM 3"])
    asked = answer(page, {"ready": True, "found": FOUND})
    choice.select_option("sam3")
    field(page).fill("a dog")
    field(page).press("Enter")
    settled(page, fake, 1)
    assert asked[0].endswith("/words?q=a+dog&model=sam3")
    expect(choice).to_have_value("sam3")  # the answer to the edit leaves it
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_words_are_found_again_where_the_cut_may_have_slipped(opened: Opened, fake: Fake) -> None:
    page = opened(
        checks=[0.5, 1.0],
        prompts=[{"time": 0.0, "box": [20, 30, 120, 200]}],
        objects=[{"number": 1, "name": "a dog"}, {"number": 2, "name": "a dog 2"}],
    )
    again = page.get_by_role("button", name="Find again")
    later = {"words": "a dog", "prompt": {"time": 0.5, "box": [40, 50, 140, 210]}}
    asked = answer(page, {"ready": True, "found": [later]})
    field(page).fill("")
    again.click()
    expect(field(page)).to_be_focused()  # without words nothing is searched
    assert asked == []
    field(page).fill("a dog")
    again.click()
    settled(page, fake, 1)
    assert asked[0].endswith("/words?q=a+dog&again=0.5&again=1")
    expect(chips(page)).to_have_text(["a dog", "a dog 2"])
    assert [(p["time"], p.get("object", 1), p["box"]) for p in fake.prompts] == [
        (0.0, 1, [20, 30, 120, 200]), (0.5, 1, [40, 50, 140, 210])
    ]  # fmt: skip
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_nothing_is_found_again_before_a_cut_was_looked_at(opened: Opened) -> None:
    expect(opened().get_by_role("button", name="Find again")).to_be_hidden()


def test_one_network_is_no_choice(opened: Opened) -> None:
    expect(opened().locator("[data-part=network]")).to_be_hidden()


def test_missing_weights_are_offered(server: Server, visit: Visit, clip: Path) -> None:
    page = started(server, visit, clip)
    offer = page.locator("#download-words")
    expect(offer).to_be_hidden()
    field(page).fill("a dog")
    field(page).press("Enter")
    expect(message(page)).to_have_text(
        "To find things by words, the weights of GroundingDINO are needed. Their download is offered under "
        "“Subject”."
    )
    expect(page.locator("#words-missing")).to_contain_text("GroundingDINO")
    expect(offer).to_contain_text("689.6 MB")
    page.reload()
    ready(page)
    expect(offer).to_be_hidden()
