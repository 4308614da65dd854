import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.delivery.bounces.meaning import MEANING, judge, reason_of
from digest.delivery.bounces.report import failure

# What mail servers say, one reply a line; no list like this is ever whole.
HARD = """
550 5.1.1 The email account that you tried to reach does not exist.
550 No such user here
550 Requested action not taken: mailbox unavailable
550 5.1.1 RESOLVER.ADR.RecipNotFound; not found
550 sorry, no mailbox here by that name (#5.7.17)
550 <x@example.net>: Recipient address rejected: User unknown in relay recipient table
550 5.1.1 unknown or illegal alias: x@example.net
554 delivery error: dd Not a valid recipient
550 Invalid Recipient
550 Unrouteable address
550 unknown local-part "x" in domain "example.net"
550 Address rejected
550 5.1.1 x@example.net recipient rejected
511 sorry, no mailbox here by that name
550 Mailbox not found
550 User not found: x
550 5.0.1 Recipient rejected
550 x@example.net is not a valid mailbox
551 User not local; please try <forward-path>
550 Account not available
553 sorry, this recipient is not in my validrcptto list
550 no such recipient
556 5.1.10 Recipient address has null MX
Host or domain name not found. Name service error for name=example.net type=A: Host not found
Sorry, I couldn't find any host named example.net. (#5.1.2)
DNS Error: 12345 DNS type 'mx' lookup of example.net responded with code NXDOMAIN
550 5.4.310 DNS domain example.net does not exist
550 Host unknown
"""
SOFT = """
552 5.2.2 This message is larger than the current system limit or the recipient's mailbox is full
452 4.2.2 The email account that you tried to reach is over quota
554 5.2.2 mailbox full; sz=123/123
552 RCPT TO: Mailbox disk quota exceeded
550 5.2.1 The email account that you tried to reach is disabled
550 Account is suspended
554 30 Sorry, your message to x@example.net cannot be delivered. This mailbox is disabled (554.30)
4.4.7 Message delayed
delivery temporarily suspended: connect to example.net[192.0.2.1]:25: Connection timed out
451 4.3.0 Temporary lookup failure
554 5.4.6 Too many hops
552 5.3.4 Message size exceeds fixed limit
"""
OURS = """
550 5.7.1 Our system has detected that this message is likely unsolicited mail
550 SC-001 messages from 192.0.2.1 weren't sent: part of your network is on our block list
421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints
554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org
550 5.7.1 Message rejected due to content restrictions
550 Administrative prohibition
554 5.7.1 <x@example.net>: Relay access denied
550 5.7.606 Access denied, banned sending IP [192.0.2.1]
550 5.7.515 Access denied, example.org does not meet the required authentication level
550 5.7.26 This message does not pass authentication checks (SPF and DKIM both do not pass)
553 5.1.8 Sender address rejected: Domain not found
450 4.7.1 Client host rejected: cannot find your reverse hostname
554 Your access to this mail system has been rejected due to the sending MTA's poor reputation
550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required
550 5.7.1 Unable to relay
554 Message refused
550 High probability of spam
550 rejected by recipient (DMARC policy)
552 5.2.0 spam message rejected
451 4.7.1 Greylisting in action, please come back later
550-Verification failed for <x@example.org> 550 Sender verify failed
554 5.7.5 permanent error evaluating DMARC policy
550 5.7.1 TRANSPORT.RULES.RejectMessage; the message was rejected by organization policy
550 JunkMail rejected - host is in an RBL
550 Message contains a virus
550 5.6.0 Lone CR or LF in body
"""


def lines(text: str) -> list[str]:
    return text.strip().splitlines()


@pytest.mark.parametrize("said", lines(HARD))
def test_these_say_that_the_address_is_not_there(said: str) -> None:
    found = failure("ada@example.net", said, context="in reply to RCPT TO command")
    assert (found.kind, found.blame) == ("hard", "address")


@pytest.mark.parametrize("said", lines(SOFT))
def test_these_say_that_the_mailbox_takes_no_mail_now(said: str) -> None:
    found = failure("ada@example.net", said, context="in reply to RCPT TO command")
    assert (found.kind, found.blame) == ("soft", "mailbox")


@pytest.mark.parametrize("said", lines(OURS))
def test_these_are_about_us(said: str) -> None:
    found = failure("ada@example.net", said, context="in reply to RCPT TO command")
    assert (found.kind, found.blame) == ("soft", "us")


def test_names_in_a_reply_are_not_its_words() -> None:
    assert reason_of("550 <spam-full@blocked.example>: gone, see https://full.example/spam") is None
    assert reason_of("550 <userunknown@example.net>: mailbox full") == "mailbox full"


def test_what_says_nothing_is_refused_or_what_a_relay_says() -> None:
    assert failure("", "550 no").said == "refused: 550 no"
    assert failure("", "550 no", otherwise="no such address").kind == "hard"
    assert failure("", "").kind == "soft"


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_words_are_judged(words: str, context: str) -> None:
    reason = judge(words, "", context)
    assert reason is None or reason in MEANING
