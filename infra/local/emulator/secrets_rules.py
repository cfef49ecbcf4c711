"""What CloudFormation generates for a secret, and ministack otherwise ("AWS::SecretsManager::Secret
GenerateSecretString", CloudFormation User Guide)."""

from __future__ import annotations

import functools
import string
from typing import Any

from ministack.services.cloudformation import provisioners


def install() -> None:
    generate = provisioners._sm_secret_string

    @functools.wraps(generate)
    def guarded(properties: dict[str, Any]) -> str:
        asked = properties.get("GenerateSecretString")
        # CloudFormation takes truth as a text, too.
        if asked and str(asked.get("ExcludePunctuation", "")).lower() == "true":
            left_out = asked.get("ExcludeCharacters", "") + string.punctuation
            properties = {**properties, "GenerateSecretString": {**asked, "ExcludeCharacters": left_out}}
        return generate(properties)

    provisioners._sm_secret_string = guarded
