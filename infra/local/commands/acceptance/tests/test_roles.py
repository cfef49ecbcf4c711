import json
import unittest

from acceptance import roles
from acceptance.tests.stubs import StubbedAccount
from common.failure import Failure


def policy(*statements):
    allowed = [{"Effect": "Allow", "Action": actions, "Resource": "*"} for actions in statements]
    return {"Version": "2012-10-17", "Statement": allowed}


class RolesTest(unittest.TestCase):
    def test_one_action_is_taken_and_nothing_else(self):
        document = policy(["ec2:RegisterImage", "ec2:DescribeImages"], "ec2:RegisterImage", "ec2:DeleteSnapshot")
        self.assertEqual(
            roles.without(document, "ec2:RegisterImage"), policy(["ec2:DescribeImages"], ["ec2:DeleteSnapshot"])
        )

    def give(self, document):
        account = StubbedAccount()
        iam = account.stub("iam")
        iam.add_response("list_role_policies", {"PolicyNames": ["ami"]}, {"RoleName": "whole"})
        found = {"RoleName": "whole", "PolicyName": "ami", "PolicyDocument": json.dumps(document)}
        iam.add_response("get_role_policy", found, {"RoleName": "whole", "PolicyName": "ami"})
        given = json.dumps(policy(["ec2:DescribeImages"]))
        iam.add_response(
            "put_role_policy", {}, {"RoleName": "lacking", "PolicyName": "ami", "PolicyDocument": given}
        )
        with account.stubbed():
            roles.give_less(account.client("iam"), "whole", "lacking")

    def test_a_role_gets_the_policies_of_another_less_one_action(self):
        self.give(policy(["ec2:DescribeImages", roles.TAKEN]))

    def test_a_role_that_would_lack_nothing_is_an_error(self):
        with self.assertRaises(Failure):
            self.give(policy(["ec2:DescribeImages"]))


if __name__ == "__main__":
    unittest.main()
