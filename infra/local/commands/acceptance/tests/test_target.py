import unittest

from acceptance.target import NAME, Names, Target, new_name
from acceptance.tests.stubs import StubbedAccount


class TargetTest(unittest.TestCase):
    def setUp(self):
        self.service, self.user = StubbedAccount("000000000000"), StubbedAccount()
        self.target = Target(Names(new_name()), self.service, self.user, "eu-west-1")

    def test_names_are_those_that_remove_only_takes_and_leave_room_for_what_cloudformation_adds(self):
        self.assertRegex(new_name(), f"^{NAME.pattern}$")
        self.assertNotEqual(new_name(), new_name())
        # A bucket's name has 63 characters: the stack's name, the logical id, and a random part.
        self.assertLessEqual(len(f"{self.target.names.obs}-files-") + 12, 63)
        self.assertLessEqual(len(f"{self.target.names.service}-usertemplatebucket-") + 12, 63)

    def test_the_functions_send_the_password_to_the_stand_in(self):
        url = self.target.obs_url({"Url": "https://a1.execute-api.eu-central-1.amazonaws.com"})
        password = self.target.secrets["obs"]
        self.assertEqual(url, f"https://uploader:{password}@a1.execute-api.eu-central-1.amazonaws.com")

    def test_a_region_that_is_given_twice_is_looked_at_once(self):
        self.target.encrypted_region = self.user.region
        self.assertEqual(self.target.regions(), [self.user.region])

    def test_public_buckets_are_refused_where_the_account_blocks_them(self):
        cases = ({"BlockPublicPolicy": True}, True), ({"BlockPublicAcls": True}, False), (None, False)
        for settings, blocked in cases:
            with self.subTest(settings=settings):
                self.service.stubs.clear()
                control = self.service.stub("s3control")
                asked = {"AccountId": "000000000000"}
                if settings is None:
                    code = "NoSuchPublicAccessBlockConfiguration"
                    control.add_client_error("get_public_access_block", code, expected_params=asked)
                else:
                    answer = {"PublicAccessBlockConfiguration": settings}
                    control.add_response("get_public_access_block", answer, asked)
                with self.service.stubbed():
                    self.assertEqual(self.target.public_access_is_blocked(), blocked)


if __name__ == "__main__":
    unittest.main()
