"""A DNS server on loopback that answers from a zone file, as a thread."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.zone


@contextmanager
def answering(zone_text: str) -> Iterator[dns.resolver.Resolver]:
    """Give a resolver that asks it; a name of `silent.` is never answered."""
    zone = dns.zone.from_text(f"$TTL 60\n{zone_text}", ".", relativize=False, check_origin=False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                asked, sender = server.recvfrom(4096)
                if not asked:
                    return
                query = dns.message.from_wire(asked)
                (question,) = query.question
                answer = dns.message.make_response(query)
                answer.flags |= dns.flags.AA | dns.flags.RA
                if question.name.to_text() == "broken.test.":
                    answer.set_rcode(dns.rcode.SERVFAIL)
                elif zone.get_node(question.name) is None:
                    answer.set_rcode(dns.rcode.NXDOMAIN)
                elif found := zone.get_rrset(question.name, question.rdtype):
                    answer.answer.append(found)
                server.sendto(answer.to_wire(), sender)

        thread = threading.Thread(target=serve)
        thread.start()
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = server.getsockname()[1]
        try:
            yield resolver
        finally:
            server.sendto(b"", server.getsockname())
            thread.join()
