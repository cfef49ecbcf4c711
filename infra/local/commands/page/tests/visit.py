"""What all tests of the page have in common: a browser, the stand-in for the service, and a tab for each test."""

import unittest

from playwright.sync_api import expect

from page.browser import DESKTOP
from page.service import TOKEN, Service


class BrowserTest(unittest.TestCase):
    """A test fails if it ends with a violation of the policy, a request elsewhere, or an error of the script."""

    browser = None
    """One for all tests, which has to be there before they run."""

    def begin_visit(self, url, viewport=DESKTOP, **settings):
        """A tab that has not gone anywhere yet."""
        visit = self.browser.visit(url, viewport, **settings)
        self.addCleanup(self.finish, visit)
        return visit

    def visit(self, url, address="", **settings):
        visit = self.begin_visit(url, **settings)
        visit.page.goto(url + address)
        return visit

    def finish(self, visit):
        visit.close()
        self.assertEqual(visit.offences, [])


class PageTest(BrowserTest):
    """A test at the stand-in for the service. It fails at a wrong call, too."""

    @classmethod
    def setUpClass(cls):
        cls.service = Service()
        cls.addClassCleanup(cls.service.server_close)
        cls.addClassCleanup(cls.service.shutdown)

    def setUp(self):
        self.service.reset()

    def open(self, address="", **settings):
        return self.visit(self.service.url, address, **settings).page

    def finish(self, visit):
        super().finish(visit)
        self.assertEqual(self.service.mistakes, [])

    def signed_in(self, address="", **settings):
        page = self.open(address, **settings)
        sign_in(page)
        return page


def sign_in(page, token=TOKEN):
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def heading(page, text):
    """The view with this heading is shown, and has the focus, so that a screen reader begins there."""
    found = page.get_by_role("heading", level=1)
    expect(found).to_have_text(text)
    expect(found).to_be_focused()


def news(page):
    return page.locator("#news")


def settle(page):
    """Waits for the answers to the calls that were made until now: one more goes behind them."""
    page.evaluate("() => fetch('page/icon.svg').then((answer) => answer.text())")


def run_clock(page, seconds):
    """Lets the time go by, second by second, and whatever happens in it happen."""
    for _ in range(seconds):
        page.clock.run_for(1_000)
        settle(page)
