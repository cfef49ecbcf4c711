"""The ports of a run, from the first on."""


class Ports:
    def __init__(self, first):
        self.aws, self.api, self.obs = first, first + 1, first + 2
        self.source_server, self.direct_source_server = first + 3, first + 4
        # The three servers of nginx: both doors, and API Gateway's TLS.
        self.uploader, self.frontend, self.tls = first + 5, first + 6, first + 7
        self.relay, self.relayed_source_server = first + 8, first + 9

    def of_the_stack(self):
        return ["--port", self.aws, "--api-port", self.api, "--obs-port", self.obs]


def url(port, credentials=""):
    return f"http://{credentials}127.0.0.1:{port}"
