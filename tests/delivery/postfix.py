"""A Postfix of its own under a temporary folder: it takes mail for example.org into Maildirs."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import need_service
from tests.delivery.servers import HOST

_MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = mx.example.org
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
recipient_delimiter = +
virtual_mailbox_domains = example.org
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = texthash:{folder}/etc/mailboxes
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
relay_domains = example.net
transport_maps = inline:{{ example.net=smtp:[{host}]:{neighbour} }}
"""
_MASTER = """
{host}:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
error unix - - n - - error
retry unix - - n - - error
smtp unix - - n - - smtp
virtual unix - n n - - virtual
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True)
class Postfix:
    """A running Postfix; what it says is in `log`."""

    port: int
    folder: Path

    def maildir(self, user: str) -> Path:
        """The Maildir of `user`@example.org."""
        return self.folder / "mail" / user

    def mails(self, user: str) -> list[bytes]:
        """What came for `user`@example.org, with the line ends that it had on the wire."""
        files = (self.maildir(user) / "new").glob("*")
        return [file.read_bytes().replace(b"\n", b"\r\n") for file in files]

    @property
    def is_idle(self) -> bool:
        """Whether nothing that it took waits for delivery."""
        queues = (self.folder / "spool" / name for name in ("incoming", "active", "deferred"))
        return not any(file.is_file() for queue in queues for file in queue.rglob("*"))

    def wait_for(self, done: Callable[[], bool], seconds: float = 120) -> None:
        """Look whenever something is logged until it is so."""
        said = []
        follow = ["timeout", str(seconds), "tail", "--lines=+1", "-F", self.folder / "log"]
        with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True) as log:
            assert log.stdout is not None
            for line in log.stdout:
                said.append(line)
                if done():
                    log.terminate()
                    return
        raise AssertionError("".join(said[-20:]))


@contextmanager
def postfix(users: Sequence[str], neighbour: int = 9) -> Iterator[Postfix]:
    """Run one that has mailboxes for `users` of example.org.

    Mail for example.net goes on to the server on the port `neighbour`.
    """
    program = shutil.which("postfix", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        need_service("needs Postfix (Debian: apt-get install postfix)")
    if os.geteuid() != 0:
        need_service("needs root, to start a Postfix")
    owner, nobody = pwd.getpwnam("postfix"), pwd.getpwnam("nobody")
    # Not pytest's folder: Postfix's own user could not enter it.
    folder = Path(tempfile.mkdtemp(prefix="digest-postfix-"))
    folder.chmod(0o755)
    for name in ("etc", "spool", "data", "mail"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", owner.pw_uid)
    shutil.chown(folder / "mail", nobody.pw_uid)
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    facts = {"folder": folder, "host": HOST, "port": port, "neighbour": neighbour}
    facts |= {"uid": nobody.pw_uid, "gid": nobody.pw_gid}
    for name, text in (("main.cf", _MAIN), ("master.cf", _MASTER)):
        (folder / "etc" / name).write_text(text.format_map(facts).lstrip())
    boxes = "".join(f"{user}@example.org {user}/\n" for user in users)
    (folder / "etc" / "mailboxes").write_text(boxes)

    def run(command: str) -> None:
        done = subprocess.run([program, "-c", folder / "etc", command], capture_output=True)
        assert done.returncode == 0, done.stderr.decode()

    try:
        run("start")
        try:
            yield Postfix(port, folder)
        finally:
            run("stop")
    finally:
        shutil.rmtree(folder)
