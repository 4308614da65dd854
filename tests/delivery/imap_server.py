"""An IMAP server on loopback with one mailbox, as much of RFC 3501 as a reader of bounces needs."""

import re
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

HOST = "127.0.0.1"
USER, PASSWORD, FOLDER = "bounces@example.org", 'pass "word"', "INBOX"


@dataclass
class Imap:
    """The mails of the mailbox by number, which of them are seen, and the commands that came."""

    mails: list[bytes]
    seen: set[int] = field(default_factory=set)
    commands: list[str] = field(default_factory=list)
    hang_up_at: str = ""
    port: int = 0

    def answer(self, command: str) -> tuple[list[bytes], str]:
        """Untagged lines and the end of the tagged one."""
        verb, _, rest = command.partition(" ")
        verb = verb.upper() if verb.upper() != "UID" else f"UID {rest.split()[0].upper()}"
        if verb == "CAPABILITY":
            return [b"* CAPABILITY IMAP4rev1\r\n"], "OK done"
        if verb == "LOGIN":
            known = rest.replace("\\", "") == f'"{USER}" "{PASSWORD}"'
            return [], "OK in" if known else "NO who are you"
        if verb == "SELECT":
            n = f"* {len(self.mails)} EXISTS\r\n".encode()
            return [n], "OK [READ-WRITE] open" if FOLDER in rest else "NO no such folder"
        if verb == "UID SEARCH":
            new = [str(n) for n in range(1, len(self.mails) + 1) if n not in self.seen]
            return [f"* SEARCH {' '.join(new)}\r\n".encode()], "OK done"
        if verb == "UID FETCH":
            uid = int(rest.split()[1])
            assert "BODY.PEEK" in rest
            longest = re.search(r"<0\.(\d+)>", rest)
            assert longest is not None
            raw = self.mails[uid - 1][: int(longest[1])]
            head = f"* {uid} FETCH (UID {uid} BODY[]<0> {{{len(raw)}}}\r\n".encode()
            return [head + raw + b")\r\n"], "OK done"
        if verb == "UID STORE":
            self.seen.add(int(rest.split()[1]))
        return ([b"* BYE\r\n"] if verb == "LOGOUT" else []), "OK done"


class _Talk(socketserver.StreamRequestHandler):
    server: "_Server"

    def handle(self) -> None:
        imap = self.server.imap
        self.wfile.write(b"* OK ready\r\n")
        while line := self.rfile.readline():
            tag, _, command = line.decode().strip().partition(" ")
            imap.commands.append(command)
            if imap.hang_up_at and imap.hang_up_at in command:
                return
            untagged, end = imap.answer(command)
            for part in untagged:
                self.wfile.write(part)
            self.wfile.write(f"{tag} {end}\r\n".encode())
            if command.upper() == "LOGOUT":
                return


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = True

    def __init__(self, imap: Imap, tls: ssl.SSLContext) -> None:
        super().__init__((HOST, 0), _Talk)
        self.imap, self.tls = imap, tls

    def get_request(self) -> tuple[ssl.SSLSocket, object]:
        connection, address = self.socket.accept()
        connection.settimeout(10)
        return self.tls.wrap_socket(connection, server_side=True), address

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up, or distrusts our certificate, is what some tests are about."""


@contextmanager
def imap_server(tls: ssl.SSLContext, *mails: bytes, hang_up_at: str = "") -> Iterator[Imap]:
    imap = Imap(list(mails), hang_up_at=hang_up_at)
    with _Server(imap, tls) as server:
        imap.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        try:
            yield imap
        finally:
            server.shutdown()
