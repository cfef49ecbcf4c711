"""The first time: the user signs in, and connects a role in three steps."""

import getpass

from . import config, terminal
from .api import Api
from .failure import Failure
from .terminal import ask, tell

STEPS = """\
Step 1 of 3: your external ID
    A role in your AWS account will trust the uploader's account, but only if the uploader
    names your external ID. Nobody else gets it: keep it to yourself.

        uploader's account   {service_account}
        external ID          {external_id}

Step 2 of 3: make the role
    {how}

Step 3 of 3: connect the role
    When the stack is complete, its outputs have the role's ARN. The uploader will assume
    the role once, and find out what it may. Nothing is made in your account by that.
"""

BY_LINK = """\
Open this link in a browser that is signed in to your AWS account. Check that it has the
    uploader's account number, acknowledge that a role is made, and create the stack.

        {quick_create_url}"""

BY_TEMPLATE = """\
Deploy infra/user-account.yaml of the cloud uploader by CloudFormation in your AWS account,
    with ServiceAccountId={service_account} and ExternalId={external_id}."""


def signed_in(url):
    """The service with the user's token. Address and token are kept once the service has taken the token."""
    url = config.checked_url(url) if url else config.known_url()
    token = config.known_token(url) if url else None
    if token:
        if url != config.known_url():
            config.keep_url(url)
        return config.Service(url, token)
    if not terminal.is_there():
        raise Failure(
            f"there is no terminal to ask for address and token: set {config.URL_VARIABLE} and {config.TOKEN_VARIABLE}"
        )
    url = url or config.checked_url(ask("Address of the cloud uploader"))
    tell("The operators of the cloud uploader give you a token. What you type is not shown.")
    service = config.Service(url, getpass.getpass("Token: ").strip())
    name = Api(service).me()["name"]
    config.keep(url, name, service.token)
    tell(f"\nSigned in as {name}.\n")
    return service


def connected_role(api, arn, region):
    """Connects a role. Returns what the service says of it, or what it knows if there is nobody to ask for the role."""
    role = api.role()
    if not arn:
        how = BY_LINK if role["quick_create_url"] else BY_TEMPLATE
        tell(STEPS.format(how=how.format(**role), **role))
        if not terminal.is_there():
            tell("    To connect it: osc cloudupload setup --role ARN --region REGION")
            return role
        arn = ask("    Role ARN", role["arn"])
        region = region or ask("    Region for your images, such as eu-central-1", role["region"])
    region = region or role["region"]
    if not region:
        raise Failure("say by --region where your images go, such as eu-central-1")
    return api.connect_role(arn, region)
