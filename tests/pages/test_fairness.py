"""The pages that check a line, in a browser: what holds, what does not, and the same words as the command's."""

import json
from copy import deepcopy
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from bookings.waitingroom import receipts, services
from bookings.waitingroom.models import WaitingRoom
from tests.factories import UserFactory
from tests.pages.scenes import DESKTOP
from tests.pages.test_accessibility import check
from tests.waitingroom.drawn import drawn_line, event_with_lobby, join_all
from tests.waitingroom.published import link
from tests.waitingroom.test_verify import BREACHES, LINE

pytestmark = pytest.mark.django_db(transaction=True)

VERIFY = """async (published) => {
  const checks = await import("/static/js/fairness.js");
  const said = [];
  try {
    await checks.verify(published, (step, text, share) => share === undefined && said.push([step, text]));
    return { said };
  } catch (problem) {
    return { said, step: problem.step, text: problem.message };
  }
}"""


@pytest.fixture
def line(ana: Any) -> Any:
    """A line in which Ana was drawn and people were let in."""
    event = event_with_lobby(
        name="Night Swim", max_active_users=3, location="Harbour Hall, Gdańsk", timezone="Europe/Warsaw"
    )
    crowd = [ana, *(UserFactory() for _ in range(24))]
    join_all(event, crowd)
    services.open_line(event.pk)
    join_all(event, [UserFactory() for _ in range(2)])
    for person in crowd:
        if services.status(user_id=person.pk, event_id=event.pk).status == "active":
            services.leave(user_id=person.pk, event_id=event.pk)
    services.tick(event.pk)
    return event


def press(page: Page) -> None:
    page.get_by_role("button", name="Check").click()
    page.wait_for_selector("[data-verdict]")


def test_the_browser_finds_what_the_command_finds_in_the_same_words(browse: Any) -> None:
    page = browse()
    page.goto("/help")

    honest = page.evaluate(VERIFY, LINE)
    found = {tamper.__name__: page.evaluate(VERIFY, tamper()) for tamper in BREACHES}

    assert [step for step, _ in honest["said"]] == ["chain", "seed", "list", "order", "moves"]
    assert {name: (breach.get("step"), breach.get("text")) for name, breach in found.items()} == {
        tamper.__name__: said for tamper, said in BREACHES.items()
    }


def test_one_checks_ones_own_place(browse: Any, log_in: Any, ana: Any, line: Any) -> None:
    receipt = receipts.receipt_of(user_id=ana.pk, event_id=line.pk)
    page = browse()
    log_in(page, ana)
    page.goto(f"/events/{line.pk}/receipt")
    expect(page.get_by_text(f"The draw gave you place {receipt.place} of 25")).to_be_visible()

    press(page)

    expect(page.get_by_role("status")).to_have_text("Everything holds.")
    mine = page.locator("[data-step=mine]")
    expect(mine).to_have_attribute("data-state", "held")
    expect(mine).to_contain_text(f"your draw gives it place {receipt.place} of 25")
    assert page.locator(".proofs [data-state=held]").count() == 6


def test_anybody_checks_a_line_without_logging_in_and_over_several_answers(browse: Any, line: Any) -> None:
    page = browse(viewport=DESKTOP)
    page.route("**/js/fairness.js", lambda route: smaller_pages(route))
    page.goto(f"/events/{line.pk}/fairness")
    expect(page.get_by_text("25 people were in the lobby")).to_be_visible()

    press(page)

    expect(page.get_by_role("status")).to_have_text("Everything holds.")
    assert page.locator(".proofs [data-state=held]").count() == 5


def smaller_pages(route: Route) -> None:
    """Have the script fetch ten entries at a time, as it does with ten thousand."""
    answer = route.fetch()
    route.fulfill(response=answer, body=answer.text().replace("PAGE = 10_000", "PAGE = 10"))


def test_a_list_that_was_changed_is_found_in_the_browser(browse: Any, log_in: Any, ana: Any, line: Any) -> None:
    """The site tells one person another list: their browser says so, at the step that fails."""
    receipt = receipts.receipt_of(user_id=ana.pk, event_id=line.pk)
    page = browse()
    log_in(page, ana)

    def tell_another_order(route: Route) -> None:
        answer = route.fetch()
        body = json.loads(answer.text())
        entries = body["data"]["entries"]
        entries[0], entries[-1] = entries[-1], entries[0]
        route.fulfill(response=answer, body=json.dumps(body))

    page.route("**/api/v1/queue/fairness/**", tell_another_order)
    page.goto(f"/events/{line.pk}/receipt")

    press(page)

    assert page.locator("[data-check]").get_attribute("data-verdict") == "broken"
    expect(page.locator("[data-step=order]")).to_have_attribute("data-state", "broken")
    expect(page.get_by_role("status")).to_contain_text("Place 1 belongs to")
    assert receipt.place


def test_a_receipt_that_names_another_book_is_found(browse: Any, log_in: Any, ana: Any, line: Any) -> None:
    """The book was written anew after the receipt was fetched: every step holds but the one that compares the two."""
    page = browse()
    log_in(page, ana)
    page.goto(f"/events/{line.pk}/receipt")
    forged = deepcopy(receipts.published(line.pk))
    chain: list[dict[str, Any]] = []
    for old in forged["chain"]:
        link(chain, old["kind"], event=str(line.pk), **old["payload"])
    forged |= {"chain": chain, "head": {"number": len(chain), "hash": chain[-1]["hash"]}}
    page.route(
        "**/api/v1/queue/fairness/**",
        lambda route: route.fulfill(json={"status": "success", "data": forged}),
    )

    press(page)

    expect(page.locator("[data-step=mine]")).to_have_attribute("data-state", "broken")
    expect(page.get_by_role("status")).to_contain_text("is not the one that your receipt names")


def test_pages_are_clean_and_work_without_javascript(browse: Any, log_in: Any, ana: Any, line: Any) -> None:
    soon = event_with_lobby(name="Soon")
    join_all(soon, [ana])
    services.drain_journal(soon.pk)
    open_at_once, _ = drawn_line(count=0, late=1)
    seed = WaitingRoom.objects.get(event=line).seed
    plain = browse(javascript=False)
    plain.goto(f"/events/{line.pk}/fairness")
    expect(plain.get_by_text(seed, exact=True)).to_be_visible()
    plain.get_by_text("Check it on your own machine").click()
    expect(plain.get_by_text(f"manage.py verify_fairness {line.pk} --file")).to_be_visible()
    assert not plain.get_by_role("button", name="Check").is_visible()

    page = browse()
    log_in(page, ana)
    addresses = [f"/events/{event.pk}/{name}" for event in (line, soon) for name in ("fairness", "receipt")]
    found = [
        problem for address in [*addresses, f"/events/{open_at_once.pk}/fairness"] for problem in check(page, address)
    ]

    assert found == []
