"""Where the address of the cloud uploader and the user's token are kept.

As osc does it for the APIs of OBS: oscrc has a section with the uploader's address as its name, and the token is its
password, which one of osc's credentials managers keeps. The section of an OBS names the uploader that goes with it:

    [https://api.opensuse.org]
    cloudupload_url = https://abc123.execute-api.eu-central-1.amazonaws.com

The environment comes first, for machines that have no oscrc of their own.
"""

import os
import urllib.parse
from typing import NamedTuple

from osc import conf

from .failure import Failure

OPTION = "cloudupload_url"
URL_VARIABLE = "OSC_CLOUDUPLOAD_URL"
TOKEN_VARIABLE = "OSC_CLOUDUPLOAD_TOKEN"

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Service(NamedTuple):
    url: str
    token: str


def service():
    """The service that goes with the OBS of this call."""
    url = known_url()
    if not url:
        raise Failure(f"no cloud uploader is known for {conf.config['apiurl']}: run 'osc cloudupload setup'")
    token = known_token(url)
    if not token:
        raise Failure(f"no token is known for {url}: run 'osc cloudupload setup', or set {TOKEN_VARIABLE}")
    return Service(url, token)


def known_url():
    url = os.environ.get(URL_VARIABLE) or _option(_obs_section(), OPTION)
    return checked_url(url) if url else None


def known_token(url):
    token = os.environ.get(TOKEN_VARIABLE)
    if token or url not in conf.config["api_host_options"]:
        return token
    # A credentials manager may ask for it now.
    return str(conf.config["api_host_options"][url]["pass"])


def checked_url(text):
    """An address as it is kept. A token is not sent over a network in the clear."""
    url = urllib.parse.urlsplit(text.strip().rstrip("/"))
    if not url.hostname or url.query or url.fragment or url.username is not None:
        raise Failure(f"'{text}' is not an address such as https://abc123.execute-api.eu-central-1.amazonaws.com")
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in LOOPBACK):
        raise Failure(f"the address of the cloud uploader must begin with https://, and '{text}' does not")
    return url.geturl()


def keep_url(url):
    """Writes the address into the section of this OBS in oscrc."""
    section = _obs_section()
    if section is None:
        raise Failure(
            f"there is no oscrc with a section for {conf.config['apiurl']} to keep the address in: "
            f"set {URL_VARIABLE} and {TOKEN_VARIABLE} instead"
        )
    parser = conf.get_configParser(conf.config["conffile"])
    parser.set(section, OPTION, url)
    conf.write_config(conf.config["conffile"], parser)


def keep(url, user, token):
    """Writes address and token into oscrc. osc asks which of its credentials managers is to have the token."""
    keep_url(url)
    manager = conf.select_credentials_manager_descr()
    is_http = url.startswith("http:")
    conf.add_section(conf.config["conffile"], url, user, token, creds_mgr_descriptor=manager, allow_http=is_http)


def _obs_section():
    """The section of oscrc for the OBS of this call; None without one."""
    file = conf.config["conffile"]
    if file in ("", os.devnull):
        return None
    for section in conf.get_configParser(file).sections():
        if section != "general" and conf.urljoin(*conf.parse_apisrv_url(None, section)) == conf.config["apiurl"]:
            return section
    return None


def _option(section, name):
    if section is None:
        return None
    parser = conf.get_configParser(conf.config["conffile"])
    return parser.get(section, name, raw=True) if parser.has_option(section, name) else None
