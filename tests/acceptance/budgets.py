"""The second run: with default budgets, confirmation mail is limited per mailbox and per network, and none is lost."""

from pathlib import Path

from tests.acceptance import office as staff
from tests.acceptance.books import Books
from tests.acceptance.people import GARDEN, SALES
from tests.acceptance.postman import Postman, postman
from tests.acceptance.product import DAY, HOUR, MINUTE, Product, Where
from tests.acceptance.running import running

PER_MAILBOX = 3
PER_NETWORK = 20
CROWDED = 25
VICTIM = "victim@example.org"


def show_budgets(folder: Path, where: Where) -> str:
    """Drive an installation on its defaults. Returns the line to print."""
    with postman(folder / "post", {}) as post:
        product = Product(folder / "product", where.database_url, post.port, broker_url=where.broker_url)
        with running(product):
            office = staff.open_office(product, post)
            staff.publish_topics(office)
            bombed = _bomb_one_mailbox(product, post)
            waited = _crowd_one_network(product, post)
    return f"budgets bombed_mailbox={bombed} crowded_network={waited[0]} arrived_later={waited[1]} dropped=0"


def _ask(product: Product, address: str, ip: str, topic: str = GARDEN) -> None:
    browser = product.browser(ip=ip)
    page = browser.get(f"/sign-up/{topic}")
    product.move_clock(10)
    answer = browser.send(page, page.form_with("address"), address=address)
    assert answer.status == 200, f"signing up was answered {answer.status}"


def _bomb_one_mailbox(product: Product, post: Postman) -> int:
    """From five networks, for two topics, under many tags: three mails in a day, and three more the next."""
    books = Books(product)
    for number in range(5):
        address = VICTIM if number % 3 == 0 else f"Victim+{number}@EXAMPLE.org"
        _ask(product, address, f"10.77.{number}.5", (GARDEN, SALES)[number % 2])
        product.move_clock(20 * MINUTE)
        books.rest()
    got = _to_victim(post)
    assert got == PER_MAILBOX, f"one mailbox was sent {got} confirmation mails"
    product.move_clock(DAY)
    _ask(product, VICTIM, "10.78.1.5")
    books.rest()
    assert _to_victim(post) == PER_MAILBOX + 1, "the budget of a mailbox never opens again"
    return got


def _to_victim(post: Postman) -> int:
    return sum(1 for letter in post.look().letters if letter.to.lower().startswith("victim"))


def _crowd_one_network(product: Product, post: Postman) -> tuple[int, int]:
    """Of many from one network twenty an hour get their mail, none is dropped, and no other network waits."""
    books = Books(product)
    crowd = [f"crowd{number}@example.org" for number in range(CROWDED)]
    for number, address in enumerate(crowd):
        _ask(product, address, f"10.99.1.{number + 1}")
    _ask(product, "neighbour@example.org", "10.99.2.1")
    books.rest()
    first = _arrived(post, crowd)
    assert first == PER_NETWORK, f"{first} of one network got their mail in the first hour"
    assert post.to("neighbour@example.org"), "one network's crowd held up another network"
    product.move_clock(HOUR + MINUTE)
    books.rest()
    got = _arrived(post, crowd)
    assert got == CROWDED, f"{got} of {CROWDED} had their mail an hour later"
    return first, CROWDED - first


def _arrived(post: Postman, crowd: list[str]) -> int:
    """How many of them have got their one mail."""
    letters = post.look().letters
    counts = [sum(1 for letter in letters if letter.to == address) for address in crowd]
    assert max(counts) <= 1, "somebody was asked twice"
    return sum(counts)
