"""Secrets that CloudFormation generates."""

from __future__ import annotations

import json

from harness import Case, emulator
from workflows import ACCOUNT

STACK = "secrets"


class Generated(Case):
    def test_punctuation_is_left_out_if_that_is_asked_for(self) -> None:
        resources = {
            name: {"Type": "AWS::SecretsManager::Secret", "Properties": {"GenerateSecretString": asked}}
            for name, asked in {
                "Plain": {"PasswordLength": 500, "ExcludePunctuation": True},
                "Picky": {"PasswordLength": 500, "ExcludePunctuation": "true", "ExcludeCharacters": "abc"},
                "Any": {"PasswordLength": 500},
            }.items()
        }
        outputs = {name: {"Value": {"Fn::GetAtt": [name, "Id"]}} for name in resources}
        stacks = emulator.client("cloudformation", ACCOUNT)
        stacks.create_stack(StackName=STACK, TemplateBody=json.dumps({"Resources": resources, "Outputs": outputs}))
        stacks.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
        (stack,) = stacks.describe_stacks(StackName=STACK)["Stacks"]
        secrets = emulator.client("secretsmanager", ACCOUNT)
        text = {
            output["OutputKey"]: secrets.get_secret_value(SecretId=output["OutputValue"])["SecretString"]
            for output in stack["Outputs"]
        }
        self.assertEqual([len(text[name]) for name in resources], [500, 500, 500])
        self.assertTrue(text["Plain"].isalnum())
        self.assertTrue(text["Picky"].isalnum())
        self.assertFalse(set(text["Picky"]) & set("abc"))
        self.assertFalse(text["Any"].isalnum())
