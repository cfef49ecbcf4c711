from playwright.sync_api import expect

from page.service import NEW_TOKEN
from page.tests.visit import PageTest, heading, news


class TokensTest(PageTest):
    def setUp(self):
        super().setUp()
        self.service.connect()

    def rows(self, page):
        return page.get_by_role("list", name="Your tokens").get_by_role("listitem")

    def test_a_new_token_is_shown_once(self):
        page = self.signed_in("#/tokens")
        heading(page, "Your tokens")
        expect(self.rows(page)).to_have_count(1)
        expect(self.rows(page)).to_contain_text("used here")
        page.get_by_label("Name").fill("laptop")
        page.get_by_label("Days until it expires").fill("30")
        page.get_by_role("button", name="Make a token").click()
        made = page.get_by_role("group", name="Copy the token now")
        expect(made).to_be_focused()
        expect(made).to_contain_text(NEW_TOKEN)
        expect(self.rows(page)).to_have_count(2)
        expect(self.rows(page).nth(1)).to_contain_text("never used, expires 23 Dec 2026")
        self.assertNotIn(NEW_TOKEN, page.evaluate("() => JSON.stringify(sessionStorage) + location.href"))
        page.get_by_role("link", name="Role").click()
        heading(page, "Your role")
        self.assertNotIn(NEW_TOKEN, page.content())

    def test_a_token_that_is_refused_says_why(self):
        page = self.signed_in("#/tokens")
        self.service.refuse("POST", "/v1/me/tokens", 409, "there are 50 tokens, which is as many as a user may have")
        page.get_by_label("Name").fill("laptop")
        page.get_by_role("button", name="Make a token").click()
        expect(page.get_by_role("alert")).to_contain_text("there are 50 tokens")

    def test_a_token_is_revoked_after_a_question(self):
        page = self.signed_in("#/tokens")
        page.get_by_label("Name").fill("laptop")
        page.get_by_role("button", name="Make a token").click()
        revoke = page.get_by_role("button", name="Revoke laptop")
        revoke.click()
        page.get_by_role("button", name="Keep it").click()
        expect(revoke).to_be_focused()
        revoke.click()
        page.get_by_role("button", name="Revoke it").click()
        expect(news(page)).to_have_text("laptop is revoked.")
        expect(self.rows(page)).to_have_count(1)
        heading(page, "Your tokens")

    def test_who_revokes_the_token_of_this_session_is_signed_out(self):
        page = self.signed_in("#/tokens")
        page.get_by_role("button", name="Revoke browser").click()
        expect(page.get_by_role("dialog")).to_contain_text("You are signed out.")
        page.get_by_role("button", name="Revoke it").click()
        expect(page.get_by_label("Token", exact=True)).to_be_focused()
        self.assertEqual(self.service.tokens, {})
