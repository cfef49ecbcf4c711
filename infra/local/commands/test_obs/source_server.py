"""Servers of an OBS that is installed, with a configuration of our own."""

import json

from common.paths import SOURCE_SERVER
from stack.services import Service, end
from test_obs.ports import url

CONFIG = """package BSConfig;
# Every other address is refused.
our $ipaccess = {{'127\\..*' => 'rw'}};
our $srcserver = '{url}';
our $reposerver = '{repository_server}';
our $clouduploadserver = '{uploader}';
our $bsdir = '{data}';
our $nosharedtrees = 2;
our $packtrack = [];
our $relsync_pool = {{}};
our $sign_project = 0;
our $disable_data_sync = 1;
1;
"""


class ObsServer:
    """`program` is one of OBS's servers, and `uploader` what $BSConfig::clouduploadserver names."""

    def __init__(self, folder, name, program, port, repository_server, uploader):
        self.folder, self.name, self.program, self.port = folder, name, program, port
        self.url = url(port)
        self.data = folder / name / "data"
        self.settings = {
            "url": self.url,
            "repository_server": repository_server,
            "uploader": uploader,
            "data": self.data,
        }

    def up(self):
        """The server looks for its configuration among its own modules, so it gets a folder of links to them."""
        modules = self.folder / self.name / "server"
        modules.mkdir(parents=True, exist_ok=True)
        for module in SOURCE_SERVER.iterdir():
            link = modules / module.name
            link.unlink(missing_ok=True)
            if module.name != "BSConfig.pm":
                link.symlink_to(module)
        config = modules / "BSConfig.pm"
        config.write_text(CONFIG.format(**self.settings))
        command = ["perl", modules / self.program]
        Service(self.folder, self.name, command, [config], {"--port": self.port}).up()

    def pid(self):
        """Of the session's first process."""
        return json.loads((self.folder / f"{self.name}.pid").read_text())["pid"]

    def down(self):
        end(self.folder / f"{self.name}.pid")


class SourceServer(ObsServer):
    """`uploader` is what $BSConfig::clouduploadserver names."""

    def __init__(self, folder, name, port, ports, uploader):
        super().__init__(folder, name, "bs_srcserver", port, url(ports.obs), uploader)
