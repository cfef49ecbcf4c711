import unittest
from unittest import mock

from bench import executions


class PhasesTest(unittest.TestCase):
    def test_a_phase_lasts_until_a_state_that_begins_another(self):
        entered = [("Begin", 0), ("Receive", 1), ("Slot", 4), ("Prepare", 5), ("Transfer", 6), ("TransferSlice", 6)]
        entered += [("TransferSlice", 6), ("Seal", 16), ("Wait", 17), ("Poll", 21), ("Register", 22), ("Finish", 23)]
        with mock.patch.object(executions, "entered_states", return_value=iter(entered)):
            phases = executions.phases({}, "arn", took=25)
        self.assertEqual(phases, {"receive": 3, "transfer": 10, "import": 6, "rest": 6})


if __name__ == "__main__":
    unittest.main()
