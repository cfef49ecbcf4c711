import base64
import unittest
from unittest import mock

from acceptance import boot
from acceptance.disk import LINE, SEED
from acceptance.report import NotTried
from acceptance.tests.stubs import Free, StubbedAccount, target
from common.paths import COMMANDS

STACK = {"StackName": "acceptance-261127-120000-abcd-network"}


class BootTest(unittest.TestCase):
    def setUp(self):
        self.account = StubbedAccount()
        self.target = target(user=self.account)

    def network(self):
        cloudformation = self.account.stub("cloudformation")
        cloudformation.add_response("create_stack", {"StackId": "arn:aws:cloudformation:stack"})
        done = {
            "StackName": STACK["StackName"],
            "CreationTime": 0,
            "StackStatus": "CREATE_COMPLETE",
            "Outputs": [{"OutputKey": "Subnet", "OutputValue": "subnet-1"}],
        }
        for _ in range(2):
            cloudformation.add_response("describe_stacks", {"Stacks": [done]}, STACK)

    def instance(self, console):
        ec2 = self.account.stub("ec2")
        zones = [{"InstanceType": "t3.nano", "Location": f"eu-central-1{letter}"} for letter in "cb"]
        ec2.add_response("describe_instance_type_offerings", {"InstanceTypeOfferings": zones})
        ec2.add_response("run_instances", {"Instances": [{"InstanceId": "i-1"}]})
        ec2.add_response("describe_instances", state("running"), {"InstanceIds": ["i-1"]})
        asked = {"InstanceId": "i-1", "Latest": True}
        for text in console:
            # As it comes over the wire: botocore decodes it.
            encoded = base64.b64encode(text.encode()).decode()
            ec2.add_response("get_console_output", {"InstanceId": "i-1", "Output": encoded}, asked)
        ec2.add_response("terminate_instances", {}, {"InstanceIds": ["i-1"]})
        ec2.add_response("describe_instances", state("terminated"), {"InstanceIds": ["i-1"]})

    def boot(self):
        guard = Free()
        with self.account.stubbed(), mock.patch.object(boot, "PAUSE", 0):
            finding = boot.boot(self.target, "ami-1", guard)
        self.assertIn("hours of a t3.nano", guard.counts)
        return finding

    def test_the_line_is_found_among_what_the_firmware_writes(self):
        self.network()
        self.instance(["", f"\x1b[2J\x1b[01;01HBdsDxe: starting Boot0001\r\n{LINE}\r\n"])
        finding = self.boot()
        self.assertTrue(finding.ok, finding.found)

    def test_a_disk_that_does_not_boot_is_a_failure_and_its_instance_ends(self):
        self.network()
        self.instance(["BdsDxe: failed to load Boot0001"])
        with mock.patch.object(boot, "CONSOLE_SECONDS", -1):
            finding = self.boot()
        self.assertFalse(finding.ok)
        self.assertIn("failed to load Boot0001", finding.found)

    def test_an_emulator_boots_nothing_and_says_so(self):
        self.target.emulated = True
        with self.assertRaisesRegex(NotTried, "emulator"):
            boot.boot(self.target, "ami-1", Free())

    def test_the_instances_of_a_run_that_died_are_ended(self):
        ec2 = self.account.stub("ec2")
        ec2.add_response("describe_instances", state("running"))
        ec2.add_response("terminate_instances", {}, {"InstanceIds": ["i-1"]})
        ec2.add_response("describe_instances", state("terminated"), {"InstanceIds": ["i-1"]})
        with self.account.stubbed():
            boot.end_all(self.account.client("ec2"), self.target.names.run)

    def test_the_line_is_that_of_make_disk(self):
        source = (COMMANDS / "make_disk" / "disk.py").read_text()
        self.assertIn(f'text = f"{LINE.replace(SEED, "{seed}")}"', source)


def state(name):
    instance = {"InstanceId": "i-1", "State": {"Name": name}}
    return {"Reservations": [{"Instances": [instance]}]}


if __name__ == "__main__":
    unittest.main()
