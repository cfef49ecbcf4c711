"""EBS encryption by default: GetEbsEncryptionByDefault, EnableEbsEncryptionByDefault, DisableEbsEncryptionByDefault.

Off unless switched on, for an account and region each ("Amazon EBS encryption", EBS User Guide).
"""

from __future__ import annotations

from ministack.core.responses import AccountRegionScopedDict
from ministack.services import ec2

import ec2_access
from ec2_query import Answer, Query, serve

_switched_on = AccountRegionScopedDict()
_KEY = "encryption-by-default"


def encrypted_by_default() -> bool:
    return _switched_on.get(_KEY, False)


def install() -> None:
    def switch(action: str, on: bool | None) -> None:
        def handler(query: Query) -> Answer:
            ec2_access.dry_run(query)
            if on is not None:
                _switched_on[_KEY] = on
            state = str(encrypted_by_default()).lower()
            return ec2._xml(200, f"{action}Response", f"<ebsEncryptionByDefault>{state}</ebsEncryptionByDefault>")

        serve(action, handler)

    switch("GetEbsEncryptionByDefault", None)
    switch("EnableEbsEncryptionByDefault", True)
    switch("DisableEbsEncryptionByDefault", False)
