"""Answers that are errors, in the words of OBS."""

import re


class Refusal(Exception):
    """An answer that is an error. A number in front of its text is the status, as in OBS; without one it is a 400."""

    def __init__(self, text, headers=()):
        super().__init__(text)
        number, summary = re.fullmatch(r"(?:(\d+) )?(.*)", text, re.DOTALL).groups()
        self.status, self.summary, self.headers = int(number or 400), summary, headers
        # errreply() of BSStdServer.pm leaves the details out where they would only repeat the summary.
        self.details = text if number else None
