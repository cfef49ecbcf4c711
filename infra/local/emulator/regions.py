"""Opt-in regions that an account has not enabled, as a test asks for (control.py): its credentials are not valid there,
whether they are a user's or a role's session.

"Managing AWS STS in an AWS Region" (IAM User Guide). Answers: EC2's AuthFailure as in turbot/steampipe-plugin-aws issue
75, S3's InvalidToken as in boto/boto3 issue 4580, STS's InvalidClientTokenId as in hashicorp/terraform-provider-aws
issue 32549. ministack gives them for other invalid credentials too, so here it is told of such.
"""

from __future__ import annotations

import functools
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.iam_evaluator import AuthError, ResolvedCredential
from ministack.core.responses import get_region

import control


def install() -> None:
    authenticate = iam_evaluator.authenticate

    @functools.wraps(authenticate)
    def authenticated(*arguments: Any) -> AuthError | ResolvedCredential | None:
        checked = authenticate(*arguments)
        if isinstance(checked, ResolvedCredential) and is_disabled(checked.account_id):
            code = "InvalidToken" if checked.session_token else "InvalidClientTokenId"
            return AuthError(code, "The security token included in the request is invalid")
        return checked

    iam_evaluator.authenticate = authenticated


def is_disabled(account: str) -> bool:
    return get_region() in control.of_account(account).disabled_regions
