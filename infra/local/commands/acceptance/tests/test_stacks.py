import unittest
from unittest import mock

from acceptance import stacks
from acceptance.accounts import require_no_role
from acceptance.stacks import Stack
from acceptance.tests.stubs import StubbedAccount
from common.failure import Failure

NAME = {"StackName": "acceptance-261127-120000-abcd"}


def described(status, **more):
    return {"Stacks": [{**NAME, "CreationTime": 0, "StackStatus": status, **more}]}


class StacksTest(unittest.TestCase):
    def setUp(self):
        self.account = StubbedAccount()
        self.cloudformation = self.account.stub("cloudformation")
        self.stack = Stack(self.account, NAME["StackName"])
        patch = mock.patch.object(stacks, "PAUSE", 0)
        patch.start()
        self.addCleanup(patch.stop)

    def test_a_stack_is_waited_for_and_gives_its_outputs(self):
        asked = {
            **NAME,
            "Parameters": [{"ParameterKey": "Slots", "ParameterValue": "6"}],
            "Capabilities": stacks.CAPABILITIES,
            "Tags": [{"Key": "obs:acceptance", "Value": "run"}],
            "TemplateURL": "https://example.org/template.yaml",
        }
        self.cloudformation.add_response("create_stack", {}, asked)
        self.cloudformation.add_response("describe_stacks", described("CREATE_IN_PROGRESS"), NAME)
        done = described("CREATE_COMPLETE", Outputs=[{"OutputKey": "ApiUrl", "OutputValue": "https://api"}])
        self.cloudformation.add_response("describe_stacks", done, NAME)
        self.cloudformation.add_response("describe_stacks", done, NAME)
        with self.account.stubbed():
            outputs = self.stack.create({"Slots": 6}, url="https://example.org/template.yaml", run="run")
        self.assertEqual(outputs, {"ApiUrl": "https://api"})

    def test_a_stack_that_fails_tells_which_resource_did(self):
        self.cloudformation.add_response("create_stack", {})
        self.cloudformation.add_response("describe_stacks", described("ROLLBACK_COMPLETE"), NAME)
        event = {"StackId": "id", "EventId": "1", **NAME, "Timestamp": 0, "LogicalResourceId": "Api"}
        failed = {**event, "ResourceStatus": "CREATE_FAILED", "ResourceStatusReason": "no such role"}
        events = [{**event, "ResourceStatus": "CREATE_IN_PROGRESS"}, failed]
        self.cloudformation.add_response("describe_stack_events", {"StackEvents": events}, NAME)
        with self.account.stubbed(), self.assertRaisesRegex(Failure, "ROLLBACK_COMPLETE: Api: no such role"):
            self.stack.create({}, body="{}", run="run")

    def test_a_stack_that_is_not_there_is_deleted_already(self):
        self.cloudformation.add_client_error("describe_stacks", "ValidationError", expected_params=NAME)
        with self.account.stubbed():
            self.stack.delete()

    def test_trouble_of_cloudformation_is_not_taken_for_a_stack_that_is_not_there(self):
        self.cloudformation.add_client_error("describe_stacks", "Throttling", expected_params=NAME)
        with self.account.stubbed(), self.assertRaisesRegex(Exception, "Throttling"):
            self.stack.delete()

    def test_an_account_with_the_role_of_a_user_is_refused(self):
        iam = self.account.stub("iam")
        iam.add_client_error("get_role", "NoSuchEntity", expected_params={"RoleName": "obs-cloudupload"})
        role = {"Path": "/", "RoleName": "obs-cloudupload-vmimport", "RoleId": "A" * 16, "CreateDate": 0}
        role["Arn"] = "arn:aws:iam::111122223333:role/obs-cloudupload-vmimport"
        iam.add_response("get_role", {"Role": role}, {"RoleName": "obs-cloudupload-vmimport"})
        with self.account.stubbed(), self.assertRaisesRegex(Failure, "has the role obs-cloudupload-vmimport already"):
            require_no_role(self.account)


if __name__ == "__main__":
    unittest.main()
