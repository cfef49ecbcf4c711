"""What ministack lacks of AssumeRole: how long a session may be, how large its policy, the form of an external ID, the
keys by which the caller's own policy can ask for one, and regions in which STS is deactivated.

"AssumeRole", STS API Reference; "Roles terms and concepts" (role chaining), "IAM and STS quotas", IAM User Guide;
"Actions, resources, and condition keys for AWS Security Token Service" (sts:ExternalId), Service Authorization
Reference.
"""

from __future__ import annotations

import functools
import re
from math import ceil
from typing import Any
from urllib.parse import parse_qs

from ministack.core import iam_actions
from ministack.core.responses import get_region
from ministack.core.router import extract_access_key_id
from ministack.services import iam, sts

import control

SHORTEST, LONGEST, LONGEST_CHAINED, DEFAULT = 900, 43_200, 3600, 3600
"""Session lengths in seconds. A chained session is one whose caller is a role's session itself."""

LARGEST_POLICY = 2048
"""Characters of a session policy."""

_NO_POLICY = b"<PackedPolicySize>0</PackedPolicySize>"
"""What ministack answers, whatever the policy."""

_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)

Answer = tuple[int, dict[str, Any], Any]


def install() -> None:
    handle = sts.handle_request

    @functools.wraps(handle)
    async def guarded(method: str, path: str, headers: dict, body: bytes, query: dict) -> Answer:
        given = {name: values[0] for name, values in {**query, **parse_qs(body.decode("utf-8", "replace"))}.items()}
        if given.get("Action") != "AssumeRole":
            return await handle(method, path, headers, body, query)
        if problem := malformed(given):
            return refusal(problem)
        packed = packed_size(given.get("Policy", ""))
        if packed > 100:
            return too_large(packed)
        answer = await handle(method, path, headers, body, query)
        if answer[0] != 200:
            return answer
        # Last, so that whoever may not assume the role learns nothing about it.
        account = given["RoleArn"].split(":")[4]
        if get_region() in control.of_account(account).sts_inactive_regions:
            return inactive(account)
        if problem := too_long(given, extract_access_key_id(headers, query)):
            return refusal(problem)
        return answer[0], answer[1], answer[2].replace(_NO_POLICY, _NO_POLICY.replace(b"0", str(packed).encode()))

    sts.handle_request = guarded

    keys = iam_actions.request_tag_context

    @functools.wraps(keys)
    def with_sts_keys(service: str, action: str, body: bytes, params: dict) -> dict[str, Any]:
        context = keys(service, action, body, params)
        if action == "sts:AssumeRole":
            given = {name: sts._p(params, name, None) for name in ("ExternalId", "RoleSessionName")}
            context |= {f"sts:{name.lower()}": value for name, value in given.items() if value}
        return context

    iam_actions.request_tag_context = with_sts_keys


def refusal(problem: str) -> Answer:
    return iam._error(400, "ValidationError", problem, ns="sts")


def packed_size(policy: str) -> int:
    """Percent of what a session policy may take. STS packs it first, by a conversion that is not public; here it takes
    as much as its text does of 2,048 characters ("IAM and STS quotas")."""
    return ceil(100 * len(policy) / LARGEST_POLICY)


def too_large(packed: int) -> Answer:
    message = f"Packed policy consumes {packed}% of allotted space, please use smaller policy."
    return iam._error(400, "PackedPolicyTooLarge", message, ns="sts")


def inactive(account: str) -> Answer:
    """Text as in turbot/steampipe-plugin-aws issue 1510."""
    return iam._error(
        403,
        "RegionDisabledException",
        f"STS is not activated in this region for account:{account}. Your account administrator can activate STS in "
        "this region using the IAM Console.",
        ns="sts",
    )


def malformed(given: dict[str, str]) -> str | None:
    duration = given.get("DurationSeconds", str(DEFAULT))
    if not duration.isdigit() or not SHORTEST <= int(duration) <= LONGEST:
        return (
            f"1 validation error detected: Value '{duration}' at 'durationSeconds' failed to satisfy constraint: "
            f"Member must have value between {SHORTEST} and {LONGEST}"
        )
    external_id = given.get("ExternalId")
    if external_id is not None and not _EXTERNAL_ID.fullmatch(external_id):
        return (
            "1 validation error detected: Value at 'externalId' failed to satisfy constraint: Member must have length "
            "between 2 and 1224 and satisfy regular expression pattern: [\\w+=,.@:\\/-]*"
        )
    return None


def too_long(given: dict[str, str], caller: str) -> str | None:
    duration = int(given.get("DurationSeconds", DEFAULT))
    if duration > LONGEST_CHAINED and sts._sessions.get(caller, {}).get("PrincipalType") == "AssumedRole":
        return "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
    account, name = given["RoleArn"].split(":")[4], given["RoleArn"].rpartition("/")[2]
    role = iam._roles.get_scoped(account, None, name) or {}
    if duration > int(role.get("MaxSessionDuration", DEFAULT)):
        return "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    return None
