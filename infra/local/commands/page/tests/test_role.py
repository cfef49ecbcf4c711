from playwright.sync_api import expect

from page.service import LINK, ROLE
from page.tests.visit import PageTest, heading, news


class RoleTest(PageTest):
    def connect(self, page, arn=ROLE):
        page.get_by_label("The role's ARN").fill(arn)
        page.get_by_label("Region of new AMIs").fill("eu-central-1")
        page.get_by_role("button", name="Try and connect the role").click()

    def test_the_guide_leads_to_a_connected_role(self):
        page = self.signed_in()
        heading(page, "Your role")
        expect(page.get_by_text("999999999999")).to_be_visible()
        expect(page.get_by_text("5f0d6a1c9a3e4b7d8c2f1e0a9b8c7d6e")).to_be_visible()
        link = page.get_by_role("link", name="Create the role in AWS")
        self.assertTrue(link.get_attribute("href").startswith(LINK))
        self.assertEqual(link.get_attribute("rel"), "noopener noreferrer")
        expect(page.get_by_role("region", name="Connected role")).to_be_hidden()
        self.connect(page)
        connected = page.get_by_role("region", name="Connected role")
        expect(connected).to_contain_text(ROLE)
        expect(page.get_by_role("heading", name="Connected role")).to_be_focused()
        expect(connected).to_contain_text("Uploads can use this role.")
        routes = connected.get_by_role("row")
        expect(routes).to_have_count(4)
        expect(routes.nth(1)).to_have_text("directallowednone")
        expect(routes.nth(2)).to_contain_text("s3:PutObject, ec2:ImportSnapshot")
        expect(routes.nth(3)).to_contain_text("switched off by the operators")
        expect(news(page)).to_contain_text("The role is connected.")
        page.get_by_role("link", name="Upload an image").click()
        heading(page, "New upload")
        expect(page.get_by_text("No role is connected yet")).to_be_hidden()

    def test_a_role_that_is_refused_says_why(self):
        page = self.signed_in()
        reason = "sts:AssumeRole: AccessDenied: the role does not trust this service with your external ID"
        self.service.refuse("PUT", "/v1/me/role", 400, reason)
        self.connect(page)
        expect(page.get_by_role("alert")).to_have_text(reason)
        self.connect(page)
        expect(page.get_by_role("alert")).to_be_hidden()

    def test_a_role_that_lacks_permissions_names_them(self):
        self.service.usable = False
        page = self.signed_in()
        self.connect(page)
        connected = page.get_by_role("region", name="Connected role")
        expect(connected).to_contain_text("Uploads cannot use this role yet.")
        expect(connected).to_contain_text("ec2:RegisterImage")
        expect(connected.get_by_role("link", name="Upload an image")).to_be_hidden()

    def test_a_role_is_disconnected_after_a_question(self):
        self.service.connect()
        page = self.signed_in("#/role")
        disconnect = page.get_by_role("button", name="Disconnect the role")
        disconnect.click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
        page.keyboard.press("Escape")
        expect(disconnect).to_be_focused()
        self.assertIsNotNone(self.service.role)
        disconnect.click()
        dialog.get_by_role("button", name="Disconnect it").click()
        heading(page, "Your role")
        expect(page.get_by_role("region", name="Connected role")).to_be_hidden()
        self.assertIsNone(self.service.role)
