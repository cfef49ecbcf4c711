from playwright.sync_api import expect

from page.service import ROLE, TOKEN
from page.tests.visit import PageTest, heading, settle, sign_in

STORED = "() => [...Object.values(sessionStorage), ...Object.values(localStorage), document.cookie].join()"


class SignInTest(PageTest):
    def test_a_user_without_a_role_is_led_to_it(self):
        page = self.open()
        expect(page.get_by_label("Token")).to_be_focused()
        expect(page.get_by_role("navigation")).to_be_hidden()
        sign_in(page)
        heading(page, "Your role")
        expect(page.locator("#user")).to_have_text("tom")

    def test_a_user_with_a_role_gets_the_view_of_the_address(self):
        self.service.connect()
        page = self.signed_in("#/upload")
        heading(page, "New upload")
        expect(page.get_by_role("link", name="New upload")).to_have_attribute("aria-current", "page")

    def test_a_wrong_token_is_refused_in_the_service_s_words(self):
        page = self.open()
        wrong = TOKEN[:-1] + "0"
        for token, words in {wrong: "the token is wrong", "no token": "This is not a token", "tökén": "This is not a token"}.items():
            sign_in(page, token)
            expect(page.get_by_role("alert")).to_contain_text(words)
            expect(page.get_by_label("Token")).to_be_focused()
            self.assertEqual(page.evaluate(STORED), "")
        sign_in(page)
        heading(page, "Your role")

    def test_the_token_is_in_this_tab_s_session_only_until_the_end(self):
        self.service.connect()
        page = self.signed_in()
        heading(page, "Uploads")
        self.assertEqual(page.evaluate("() => Object.values(sessionStorage).join()"), TOKEN)
        self.assertEqual(page.evaluate("() => localStorage.length + document.cookie.length"), 0)
        page.reload()
        heading(page, "Uploads")
        self.assertNotIn("cloudup_", page.url)
        self.assertNotIn(TOKEN, page.content())
        other = page.context.new_page()
        other.goto(self.service.url)
        expect(other.get_by_label("Token")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Token")).to_be_focused()
        expect(page.get_by_role("navigation")).to_be_hidden()
        self.assertEqual(page.evaluate(STORED), "")

    def test_a_token_that_is_revoked_ends_the_session(self):
        self.service.connect()
        page = self.signed_in()
        heading(page, "Uploads")
        self.service.refuse("GET", "/v1/me/role", 401, "the token was revoked")
        page.get_by_role("link", name="Role").click()
        expect(page.get_by_role("alert")).to_have_text("the token was revoked")
        expect(page.get_by_label("Token")).to_be_visible()
        self.assertEqual(page.evaluate(STORED), "")

    def test_an_answer_that_comes_after_the_end_changes_nothing(self):
        page = self.signed_in()
        heading(page, "Your role")
        held = []
        page.route("**/v1/me/role", lambda route: held.append(route))
        page.get_by_label("The role's ARN").fill(ROLE)
        page.get_by_label("Region of new AMIs").fill("eu-central-1")
        page.get_by_role("button", name="Try and connect the role").click()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Token")).to_be_focused()
        self.assertEqual(len(held), 1)
        with page.expect_response("**/v1/me/role"):
            held[0].continue_()
        settle(page)
        expect(page.get_by_label("Token")).to_be_focused()

    def test_a_service_that_does_not_answer_is_no_reason_to_sign_out(self):
        self.service.connect()
        page = self.signed_in()
        heading(page, "Uploads")
        self.service.refuse("GET", "/v1/me", 503, "the caller's secret could not be checked: try again")
        page.reload()
        expect(page.get_by_role("alert")).to_contain_text("could not be checked")
        page.reload()
        heading(page, "Uploads")
