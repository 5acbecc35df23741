"""The explorer as a visitor sees it."""

import re
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from hyperfactor import RunSpec
from hyperfactor.explorer.collection import GIVEN
from hyperfactor.explorer.representation_page import LOOK
from hyperfactor.store.store import Store

from ..chromium import PATIENCE
from .conftest import FACTORS

SIZES = {"wide": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
NOISE = ("GPU stall", "willReadFrequently")  # remarks of the browser about drawing without a GPU
Open = Callable[..., Any]


@pytest.fixture
def visit(browser: Any, site: str) -> Iterator[Open]:
    """Open an address. At the end: nothing was asked of another host, and the console has no error."""
    asked, said, contexts = [], [], []

    def guard(route: Any) -> None:
        if route.request.url.startswith((site, "data:", "blob:")):
            route.continue_()
        else:
            asked.append(route.request.url)
            route.abort()

    def opened(address: str, size: str = "wide", scheme: str = "light") -> Any:
        context = browser.new_context(viewport=SIZES[size], color_scheme=scheme, has_touch=size == "phone")
        contexts.append(context)
        context.route("**/*", guard)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(site + address)
        page.wait_for_selector("main h1")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert asked == []
    assert [line for line in said if not any(noise in line for noise in NOISE)] == []


def drawing(page: Any) -> str:
    return page.locator("#drawing img").first.get_attribute("src")


def place(page: Any, plot: str, x: float, y: float) -> tuple[float, float]:
    """Return the pixel of a point of a plot of two axes."""
    page.wait_for_selector(f"{plot} .scatterlayer")
    dx, dy = page.evaluate(
        """([plot, x, y]) => {
            const of = document.querySelector(plot + ' .js-plotly-plot')._fullLayout;
            return [of.xaxis._offset + of.xaxis.d2p(x), of.yaxis._offset + of.yaxis.d2p(y)];
        }""",
        [plot, x, y],
    )
    page.locator(plot).scroll_into_view_if_needed()
    box = page.locator(f"{plot} .js-plotly-plot").bounding_box()
    return box["x"] + dx, box["y"] + dy


def click(page: Any, plot: str, x: float, y: float) -> None:
    """Click at a point of a plot of two axes."""
    h, v = place(page, plot, x, y)
    page.mouse.move(h - 3, v)
    page.mouse.move(h, v)
    page.mouse.click(h, v)


def chosen(page: Any) -> list[float]:
    """Return the point that is ringed in the factor plane."""
    return page.evaluate("(({x, y}) => [...x, ...y])(document.querySelector('#plane .js-plotly-plot').data[0])")


def changed(page: Any, selector: str, before: str) -> None:
    """Wait until a picture is another one."""
    page.wait_for_function("([at, src]) => document.querySelector(at)?.src !== src", arg=[selector, before])


def test_a_click_in_the_plane_draws_there_and_the_address_can_be_shared(visit: Open, tiny: RunSpec):
    page = visit(f"/run/{tiny.id}")
    page.wait_for_selector("#drawing img")
    before = drawing(page)
    click(page, "#plane", 5, 9)
    changed(page, "#drawing img", before)
    clicked, address = drawing(page), page.url
    assert "?f.x=5&f.y=9&seed=0" in address
    caption = page.locator("#drawing img").first.get_attribute("alt")
    assert caption == "drawing of the model at x 5.00, y 9.00"
    again = visit(address.removeprefix(address.split("/run")[0]))
    again.wait_for_selector("#drawing img")
    assert drawing(again) == clicked
    assert again.locator("#drawing img").first.get_attribute("alt") == caption


def test_a_drag_in_the_plane_draws_on_the_way_and_stays_where_it_ends(visit: Open, tiny: RunSpec):
    page = visit(f"/run/{tiny.id}?f.x=5&f.y=9")
    page.wait_for_selector("#drawing img")
    before = drawing(page)
    page.mouse.move(*place(page, "#plane", 5, 9))
    page.mouse.down()
    page.mouse.move(*place(page, "#plane", 7.5, 9), steps=8)
    changed(page, "#drawing img", before)  # while the button is down
    page.mouse.move(*place(page, "#plane", 12.25, 3.5), steps=8)
    page.mouse.up()
    page.wait_for_function("Math.abs(new URLSearchParams(location.search).get('f.x') - 12.25) < 0.1")
    page.wait_for_function("document.querySelector('#drawing img').alt.includes('x 12.2')")
    assert chosen(page) == pytest.approx([12.25, 3.5], abs=0.1)
    page.mouse.move(*place(page, "#plane", 5, 9))  # without the button
    page.wait_for_timeout(300)
    assert chosen(page) == pytest.approx([12.25, 3.5], abs=0.1)
    page.mouse.down()
    page.mouse.move(0, 0, steps=4)  # past the ends of both scales
    page.mouse.up()
    page.wait_for_function("document.querySelector('#drawing img').alt.includes('x -3.00, y -3.00')")


def test_a_finger_drags_the_ring_and_scrolls_the_page_elsewhere(visit: Open, tiny: RunSpec):
    page = visit(f"/run/{tiny.id}?f.x=5&f.y=9", size="phone")
    page.wait_for_selector("#drawing img")
    finger = page.context.new_cdp_session(page)

    def swipe(start: tuple[float, float], end: tuple[float, float]) -> None:
        finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": start[0], "y": start[1]}]})
        for k in range(1, 9):
            at = {name: a + (b - a) * k / 8 for name, a, b in zip("xy", start, end, strict=True)}
            finger.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [at]})
            page.wait_for_timeout(20)
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    start, end = place(page, "#plane", 5, 9), place(page, "#plane", 12, 3)
    before = page.evaluate("scrollY")
    swipe(start, end)
    page.wait_for_function("document.querySelector('#drawing img').alt.includes('x 12.0')")
    assert chosen(page) == pytest.approx([12, 3], abs=0.1)
    assert page.evaluate("scrollY") == before
    h, v = place(page, "#plane", 0, 15)
    swipe((h, v), (h, v - 150))
    page.wait_for_function("(before) => scrollY > before + 50", arg=before)
    page.wait_for_timeout(300)
    assert chosen(page) == pytest.approx([12, 3], abs=0.1)


def test_two_visitors_do_not_disturb_each_other(visit: Open, tiny: RunSpec):
    addresses = [f"/run/{tiny.id}?f.x={x}&f.y=4" for x in (3, 15)]
    alone = []
    for address in addresses:
        page = visit(address)
        page.wait_for_selector("#drawing img")
        alone.append(drawing(page))
    first, second = (visit(address) for address in addresses)
    first.wait_for_selector("#drawing img")
    second.wait_for_selector("#drawing img")
    for page in (first, second, first, second):  # both move at once: each asks before the other has its answer
        page.get_by_label(re.compile("^x,")).focus()
        page.keyboard.press("End")
        page.keyboard.press("Home")
    for page, address in ((first, addresses[0]), (second, addresses[1])):
        assert address.split("?")[0] in page.url
        page.wait_for_function("document.querySelector('#drawing img').alt.includes('x -3.00, y 4.00')")
    first.get_by_label(re.compile("^y,")).focus()
    first.keyboard.press("End")
    first.wait_for_function("document.querySelector('#drawing img').alt.includes('x -3.00, y 18.00')")
    assert "y 4.00" in second.locator("#drawing img").first.get_attribute("alt")
    assert alone[0] != alone[1]


def test_keys_move_a_factor_and_the_training_step(visit: Open, tiny: RunSpec):
    page = visit(f"/run/{tiny.id}?f.x=3&f.y=4")
    page.wait_for_selector("#drawing img")
    before = drawing(page)
    page.get_by_label("training step").focus()
    page.keyboard.press("ArrowLeft")
    changed(page, "#drawing img", before)
    page.wait_for_url(re.compile("step=5"))
    page.get_by_label(re.compile("^x,")).focus()
    before = drawing(page)
    page.keyboard.press("End")
    changed(page, "#drawing img", before)
    page.wait_for_url(re.compile("f.x=18"))


def test_a_factor_may_have_the_name_of_another_part_of_the_address(visit: Open):
    page = visit(f"/run/{GIVEN}")
    page.wait_for_selector("#drawing img")
    for name in FACTORS:
        page.get_by_label(re.compile(f"^{name},")).focus()
        page.keyboard.press("End")
    page.wait_for_function("document.querySelector('#drawing img').alt.endsWith('h 3.14, v 3.14, seed 3.14')")
    page.wait_for_url(re.compile("f.h=3.14159&f.v=3.14159&f.seed=3.14159&seed=0&h=h&v=v$"))
    again = visit(page.url[page.url.index("/run") :])
    again.wait_for_function("document.querySelector('#drawing img')?.alt.endsWith('h 3.14, v 3.14, seed 3.14')")
    assert again.locator("#seed").input_value() == "0"


def test_the_shape_turns_and_is_linked_to_the_plane(visit: Open, tiny: RunSpec):
    page = visit(f"/representation/{tiny.id}")
    page.wait_for_function("document.querySelector('#working')?.textContent.includes('points in')")
    page.wait_for_function("document.querySelector('#shape .js-plotly-plot')?._fullLayout?.scene?._scene")
    plot = "document.querySelector('#shape .js-plotly-plot')"
    eye = f"() => JSON.stringify({plot}._fullLayout.scene._scene.getCamera().eye)"
    before = page.evaluate(eye)
    box = page.locator("#shape").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 120, y + 40, steps=5)
    page.mouse.up()
    page.wait_for_function(f"({eye})() !== {before!r}")
    click(page, "#map", 5, 9)
    page.wait_for_function("document.querySelector('#shape .js-plotly-plot').data[2].x.length === 1")
    page.get_by_label("toroidal").check()
    page.wait_for_function("location.search.includes('view=toroidal')")
    page.get_by_text("Measure", exact=True).last.click()
    page.wait_for_selector("#measures table")
    assert "participation ratio" in page.locator("#measures").inner_text()


def test_answers_that_take_longer_than_a_look_arrive(visit: Open, site: str, tiny: RunSpec):
    page = visit("/percolation")
    delayed = []

    def delay(route: Any) -> None:
        delayed.append(route)
        time.sleep(2 * LOOK / 1000)
        route.continue_()

    page.route(re.compile("_dash-update-component"), delay)
    page.goto(f"{site}/representation/{tiny.id}?layer=down1")
    page.wait_for_function("document.querySelector('#working')?.textContent.includes('points in')")
    page.get_by_text("Measure", exact=True).last.click()
    page.wait_for_selector("#measures table")
    assert len(delayed) > 5
    page.unroute_all(behavior="wait")


def test_runs_are_filtered_and_compared(visit: Open, shown: Path):
    page = visit("/")
    page.get_by_text(f"{len(Store(shown).ids())} runs").wait_for()
    assert page.url.endswith("/")  # showing the page does not change its address, which would show it twice
    page.get_by_label("Condition").fill("seed = 1")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('#runs caption')?.innerText === '1 run'")
    page.wait_for_url(re.compile("where=seed"))
    page = visit("/?sort=-seed")
    boxes = page.locator("#runs input[type=checkbox]")
    boxes.nth(0).check()
    boxes.nth(1).check()
    page.get_by_text("Compare (2)").click()
    page.wait_for_selector("text=Keys of the spec that differ")
    page.wait_for_selector("#losses .scatterlayer .trace >> nth=1")
    page.go_back()
    page.get_by_text("Compare (2)").wait_for()  # the picks are in the address
    page.get_by_role("link", name="state").click()
    page.wait_for_url(re.compile("sort=state"))
    assert page.locator("#runs input:checked").count() == 2
    page.get_by_label("Condition").fill("seed >= 0")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("where=seed"))
    assert "sort=state" in page.url


def test_a_claim_leads_to_its_run_and_to_the_picture_behind_it(visit: Open):
    page = visit("/")
    page.get_by_role("link", name="Claims").click()
    page.get_by_role("link", name="composition").click()
    page.wait_for_selector(".card")
    page.locator(".card summary").first.click()
    page.locator(".card").first.get_by_role("link", name=re.compile("^[0-9a-f]{16}$")).first.click()
    page.wait_for_selector("#drawing img")
    recorded = page.locator("#recorded a").last
    at = recorded.locator("img").get_attribute("alt").split(" at ")[1].split(", ")
    assert recorded.inner_text() in ("right", "wrong")
    recorded.click()
    wanted = ", ".join(f"{name} {float(value):.2f}" for name, value in zip("xy", at, strict=True))
    page.wait_for_function("(at) => document.querySelector('#drawing img')?.alt.endsWith(at)", arg=wanted)
    assert [f"{value:g}" for value in chosen(page)] == at


def test_percolation_moves(visit: Open):
    page = visit("/percolation")
    page.wait_for_selector("#clusters img")
    before = page.locator("#clusters img").get_attribute("src")
    page.get_by_label(re.compile("lambda")).focus()
    page.keyboard.press("End")
    changed(page, "#clusters img", before)
    page.wait_for_function("document.querySelector('#clusters').innerText.includes('has 100% of them')")
    page.wait_for_url(re.compile("lambda=1"))


def test_a_run_that_is_not_there_gives_a_message(visit: Open):
    page = visit("/run/0123456789abcdef")
    assert "names no run" in page.get_by_role("alert").inner_text()


PAGES = {"store": "/", "run": "/run/{run}", "representation": "/representation/{run}", "claims": "/claims/{result}",
         "percolation": "/percolation"}  # fmt: skip
READY = {"store": "#runs", "run": "#states img", "representation": "#map .scatterlayer", "claims": ".paper img",
         "percolation": "#curve .scatterlayer"}  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_each_page_fits_and_is_accessible(
    visit: Open, shown: Path, tiny: RunSpec, name: str, request: pytest.FixtureRequest
):
    """No page scrolls sideways, axe has no serious finding; pictures of all are kept in pytest's cache."""
    from axe_playwright_python.sync_playwright import Axe

    page = visit(PAGES[name].format(run=tiny.id, result=Store(shown).results()[-1].key))
    page.wait_for_selector(READY[name])
    folder = request.config.cache.mkdir("screenshots")  # pyright: ignore[reportOptionalMemberAccess]
    for size, scheme in product(SIZES, ("light", "dark")):
        page.set_viewport_size(SIZES[size])
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(300)  # plots follow the width
        page.screenshot(path=folder / f"{name}-{size}-{scheme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
        found = [v for v in Axe().run(page).response["violations"] if v["impact"] in ("serious", "critical")]
        assert [(v["id"], [node["html"][:150] for node in v["nodes"][:3]]) for v in found] == []
