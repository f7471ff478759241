"""The first run: two thousand people sign up, answer, get two campaigns and withdraw, while the engine is killed."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.acceptance import office as staff
from tests.acceptance.agreement import Reckoning, Tally
from tests.acceptance.books import Books, differing
from tests.acceptance.office import Campaign, Office
from tests.acceptance.people import GARDEN, SALES, Answer, Person, population
from tests.acceptance.postman import Letter, Postman, postman, wait_for
from tests.acceptance.product import DAY, HOUR, MINUTE, Product, Where
from tests.acceptance.recipients import Crowd, scan, together
from tests.acceptance.running import Running, running

SEED = 2007
RAISED = {
    "OUTREACH_CONFIRMATIONS_PER_NETWORK": "1000",
    "OUTREACH_CONFIRMATIONS_TOTAL": "100000",
    "OUTREACH_HTTP_LIMIT": "100000/minute",
}
PUBLIC_PAGES = ("/", f"/sign-up/{GARDEN}", f"/sign-up/{SALES}", "/sign-up/received", "/sign-in", "/forgot")
WELCOME = Campaign("A word of welcome", GARDEN, "informational")
RETRIES = (31 * MINUTE, 61 * MINUTE)
SEND_SECONDS = 5.0
CONNECTIONS = 10
KILLS = 3


def rehearse(folder: Path, where: Where, size: int) -> Tally:
    """Drive one installation through everything. The tally's line is what `make acceptance` prints."""
    people = population(size, SEED)
    plans = {person.to: list(person.plan) for person in people if person.plan}
    with postman(folder / "post", plans) as post:
        product = Product(folder / "product", where.database_url, post.port, RAISED, where.broker_url)
        with running(product) as here:
            play = Rehearsal(here, post, Books(product), Crowd(here, people))
            play.perform()
        play.reckon()
    return play.tally


@dataclass
class Rehearsal:
    """One run, act by act."""

    here: Running
    post: Postman
    books: Books
    crowd: Crowd
    campaigns: dict[str, Campaign] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.product = self.here.product
        self.tally = Tally(people=len(self.crowd.people))

    def perform(self) -> None:
        """Everything that happens while the product runs."""
        office = staff.open_office(self.product, self.post)
        staff.publish_topics(office)
        staff.set_cap_of_one_a_week(office)
        self.crowd.sign_up()
        self._confirmations_arrive()
        self._scanner_passes(lambda letter: True)
        self._people_answer()
        self._known_people_sign_up_again()
        self._welcome(office)
        self._scanner_passes(lambda letter: letter.is_campaign)
        self._two_campaigns(office)
        self._time_passes()
        self._scanner_passes(lambda letter: letter.subject in self.offers)

    @property
    def offers(self) -> set[str]:
        return {subject for subject, campaign in self.campaigns.items() if campaign.kind == "promotional"}

    def _confirmations_arrive(self) -> None:
        """At once for most; half an hour later for those whose server greylists."""
        self.books.rest()
        self.product.move_clock(31 * MINUTE)
        self.books.rest()
        awaited = [person for person in self.crowd.people if person.answer is not Answer.GONE]
        got = {letter.to for letter in self.post.look().letters}
        missing = [person.number for person in awaited if person.to not in got]
        assert not missing, f"{len(missing)} confirmation mails never came, such as to {missing[:5]}"

    def _scanner_passes(self, wanted: Callable[[Letter], bool]) -> None:
        """Every link of these mails is fetched, nothing may change."""
        letters = [letter for letter in self.post.look().letters if wanted(letter)]
        assert letters, "there was no mail to scan"
        urls = {url for letter in letters for url in letter.urls if "/northfield.example/" not in url}
        before = self.books.still()
        scan(self.product, [*PUBLIC_PAGES, *sorted(urls)])
        changed = differing(before, self.books.snapshot())
        self.tally.get_changes += changed.total()
        assert not changed, f"GET and HEAD changed rows of {dict(changed)}\n{self.tally.line()}"

    def _letters(self, wanted: Iterable[Person], *, subject: str = "") -> list[tuple[Person, Letter]]:
        """The first mail each of `wanted` got, or the one of this subject."""
        first: dict[str, Letter] = {}
        for letter in self.post.look().letters:
            if not subject or letter.subject == subject:
                first.setdefault(letter.to, letter)
        return [(person, first[person.to]) for person in wanted if person.to in first]

    def _people_answer(self) -> None:
        """A scanner was at every mail, so whoever says yes ticks a box besides; whoever says no is asked nothing."""
        self.product.move_clock(MINUTE)
        self.crowd.press(self._letters(self.crowd.people))

    def _known_people_sign_up_again(self) -> None:
        """The door says the same to everybody, and asking again changes nobody's state."""
        some = self.crowd.people[: len(self.crowd.people) // 20]
        together(self._sign_up_again, some)
        by_language = {language for language, _, _ in self.crowd.answers}
        assert len(self.crowd.answers) == len(by_language), "the door answers known and unknown people differently"
        self.books.rest()

    def _sign_up_again(self, person: Person) -> None:
        browser = self.crowd.browser(person)
        page = browser.get(f"/sign-up/{person.topics[0]}")
        self.crowd.note(browser, browser.post(page, page.form_with("address"), address=person.typed))

    def _schedule(self, office: Office, campaign: Campaign) -> None:
        self.campaigns[campaign.subject] = campaign
        staff.schedule(office, campaign)

    def _welcome(self, office: Office) -> None:
        """A first mail, so that everybody has a link that stops the topic; most servers take it at once."""
        self._schedule(office, WELCOME)
        self.books.rest()
        for passed in RETRIES:
            self.product.move_clock(passed)
            self.books.rest()

    def _two_campaigns(self, office: Office) -> None:
        """Both at once to overlapping audiences; people stop while mail goes out; the engine dies thrice."""
        until = datetime.now(UTC) + timedelta(seconds=self.product.shift) + timedelta(days=30)
        first = Campaign("Half price on bulbs", GARDEN, "promotional", priority=1)
        second = Campaign("The plant market", SALES, "promotional", later_until=until.date().isoformat())
        audience = sum(1 for person in self.crowd.people if person.agreed(GARDEN))
        self.post.pace(min(400.0, 1000 * SEND_SECONDS * CONNECTIONS / audience))
        leaving = self._letters((person for person in self.crowd.people if person.withdraws), subject=WELCOME.subject)
        assert leaving, "nobody withdraws"
        self._schedule(office, first)
        with ThreadPoolExecutor(1) as aside:
            self._wait_for_mail(first, 1)
            going = aside.submit(self.crowd.withdraw, leaving)
            self._wait_for_mail(first, audience // 5)
            self.here.kill_engine()
            self._schedule(office, second)
            going.result()
        self._wait_for_mail(first, audience // 2)
        self.here.kill_engine()
        self._wait_for_mail(second, len(self.crowd.people) // 50)
        self.here.kill_engine()
        self.books.rest()
        self.post.pace(0)

    def _wait_for_mail(self, campaign: Campaign, count: int) -> None:
        wait_for(f"{count} of “{campaign.subject}”", lambda: self.post.taken(campaign.subject) >= count, every=0.01)

    def _time_passes(self) -> None:
        """Hours for the servers that said later, a week for the cap to open, days until it gives up."""
        for passed in (*RETRIES, 7 * DAY + 2 * HOUR, *RETRIES, 6 * DAY):
            self.product.move_clock(passed)
            self.books.rest()

    def reckon(self) -> None:
        """The product has stopped; its log and tables speak for themselves."""
        self.post.look()
        reckoning = Reckoning(self.books, self.post, self.crowd, self.campaigns, self.tally)
        reckoning.settle()
        if self.tally.is_clean:
            self._must_have_been_hard(reckoning)
        verified = self.product.run("audit", "verify")
        assert verified.returncode == 0, f"the verifier ends with {verified.returncode}:\n{verified.stdout[-3000:]}"
        printed = self.product.printed
        assert not self.product.faults(), "\n".join(["the product logged faults:", *self.product.faults()[:5]])
        named = [person.number for person in self.crowd.people if person.to in printed or person.typed in printed]
        assert not named, f"addresses of {named[:5]} stand in the log"

    def _must_have_been_hard(self, reckoning: Reckoning) -> None:
        """The numbers mean something only if withdrawals met the send, servers said later and deaths left doubts."""
        lines = reckoning.lines
        assert any(line.reason == "withdrawn" for line in lines), "every withdrawal came too late to matter"
        put_off = {handed.to for handed in self.post.handed if handed.code in {451, 452}}
        offered = {letter.to for letter in self.post.letters if letter.subject in self.offers}
        assert put_off & offered, "nobody's mail came hours later"
        unknown = sum(1 for line in lines if line.campaign and line.state == "unknown")
        assert unknown <= KILLS * CONNECTIONS, f"{unknown} unknown after {KILLS} kills of {CONNECTIONS} connections"
