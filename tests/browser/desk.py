"""Signing in, as staff and members do."""

from tests.browser.product import Product
from tests.browser.reader import Reader


def sign_in(reader: Reader, product: Product) -> None:
    """As the demonstration's one member of staff, who holds every role."""
    address, password = product.sign_in
    reader.open("/sign-in")
    reader.page.get_by_label("Your e-mail address").fill(address)
    reader.page.get_by_label("Password").fill(password)
    reader.press("Sign in")
    assert reader.heading() == "What needs doing"


def sign_in_member(reader: Reader, product: Product) -> None:
    """As the demonstration's member, who has something in every room."""
    address, password = product.member_sign_in
    reader.open("/members/sign-in")
    reader.page.get_by_label("Your e-mail address").fill(address)
    reader.page.get_by_label("Password").fill(password)
    reader.press("Sign in")
    assert reader.heading() == "Hello Elsa Holm"
