"""What ends a command with a sentence for its user."""

from osc import oscerr


class Failure(oscerr.OscIOError):
    """osc prints the sentence alone, and exits with 1."""

    def __init__(self, sentence):
        super().__init__(None, sentence)

    def __str__(self):
        return self.msg
