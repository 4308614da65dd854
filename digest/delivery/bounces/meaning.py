"""What a refusal means, from its words and its enhanced status (RFC 3463), whoever wrote them.

The words come first: a status is chosen by a program, which often has one for everything.
"""

import re
from typing import Literal

from digest.delivery.policy import Blame
from digest.store.tables import BounceKind

Reason = Literal[
    "no such address",
    "no such host",
    "moved",
    "takes no mail",
    "mailbox full",
    "too big",
    "disabled",
    "late",
    "refused",
    "message refused",
    "blocked",
    "sender refused",
]

# What is about our server, our settings or our mail never counts against a mailbox. A mailbox that
# is disabled may be enabled again (RFC 3463, X.2.1).
MEANING: dict[Reason, tuple[BounceKind, Blame]] = {
    "no such address": ("hard", "address"),
    "no such host": ("hard", "address"),
    "moved": ("hard", "address"),
    "takes no mail": ("hard", "address"),
    "mailbox full": ("soft", "mailbox"),
    "too big": ("soft", "mailbox"),
    "disabled": ("soft", "mailbox"),
    "late": ("soft", "mailbox"),
    "refused": ("soft", "mailbox"),
    "message refused": ("soft", "us"),
    "blocked": ("soft", "us"),
    "sender refused": ("soft", "us"),
}

# A line is a regular expression in which a blank is whatever parts two words, dots are up to 40
# characters of anything, and capitals stand for what follows. The first reason that fits counts: a
# mailbox that is full is one that there is.
_NOUNS = {
    "BOX": r"(mail ?box|mail ?folder|inbox|account|user|recipient|address|alias|customer)",
    "WHO": r"(BOX|local ?part|person|subscriber|member|addressee|destinat\w+|user ?id|name|group)",
    "HOST": r"(host|domain|mx|destination server)",
    "NOT": r"(does not|doesn'?t|do not|is not|isn'?t|not)",
}
_WORDS: dict[Reason, str] = {
    "sender refused": r"""
        (mail from|sender|from address) ... (reject|refus|denied|invalid|unverified|blacklist)
        (mail from|sender|from address) ... not (allowed|permitted|exist|valid|verified)
        (invalid|unknown|bad|rejected|forged|unresolvable|unverified) (envelope )?sender
        (verify|verification|callout) ... (sender|return path)
        domain of sender|unauthenticated sender|purported responsible
        (not|must be) a member|(are|is) not accepting mail from
        (not have|need|require) permission to (post|send)
        not (allowed|authori[sz]ed|permitted) to (send|post|mail)
        authentication (is )?required|e?-?mail address is not verified
    """,
    "mailbox full": r"""
        \b(mail ?box|mail ?folder|inbox|account|user|storage|disk) ... \b(over ?)?full\b
        \bfull (mail ?)?box|over ?quota|storage allocation|not been collected
        \bover (the |its |their )?(disk |storage |allotted |allocated )*(quota|limit|size)
        quota ... (exceed|full|reach|violat|issue)|(exceed|over|reached|exhaust) ... quota
        BOX ... (exceed|out of) ... (size|space|storage|limit)
        \b(not enough|insufficient|no|out of) (free |more |disk |system )*(storage|space|room)
        \btoo (many|much) (messages|mails?|data) (in|on|for)\b
        bo[iî]te ... pleine|postfach ... voll|buz[oó]n ... llen|casella ... piena
        caixa ... cheia|(メールボックス|受信箱) ... (一杯|いっぱい|超え)
    """,
    "too big": r"""
        \b(message|mail|content|data|size) ... too (big|large)|(data|size) ... too long
        \b(message|mail) (size|length) ... (exceed|limit|max)|larger than
        exceed ... (message|mail) (size|length)
    """,
    "disabled": r"""
        \bBOX ... \b((temporarily )?disabled|suspended|frozen|inactive|deactivated)\b
        \bBOX ... \b(discontinued|dormant|locked|expired|on hold|been closed|cancelled)\b
        \bBOX ... (not (yet |currently )?|no longer )active
        \b(disabled|suspended|inactive|frozen|expired|deactivated|closed) (the )?BOX
        inactive mail|receiving (e?-?mail|messages) at a rate
    """,
    "moved": r"""
        \b(BOX|he|she|they) (has|have|was) (been )?(moved|changed)
        no forwarding address|not our customer|new (e?-?mail )?address is
        no longer (employed|works?|with (us|the))
    """,
    "blocked": r"""
        \b(spam|junk|ube|uce|phishing|virus|malware|abuse|unsolicited|bulk|reputation)\b
        \b(rbl|dnsbl|spamhaus|spamcop|gr[ea]ylist\w*|throttl\w+)\b|(black|block|deny) ?list
        \b(dmarc|dkim|spf|sender ?id|ptr|reverse dns|r?dns (record|entry|validation))\b
        \b(policy|policies|prohibit\w*|ban|banned|unauthori[sz]ed)\b|security (issue|error)
        (?<!not\W)(blocked|listed|rejected|refused|denied) (by|for|using|due|from|because)\b
        (?<!not\W)(blocked|listed|rejected|refused|denied) (at|in|on)\b
        \b(client|host|ip|server|connection|domain) ... (reject|block|denied)
        \b(access|permission|message|delivery) (is |was )?denied|denied access
        relay(ing)? ... (den|not|prohibit|reject|refus)|(not|unable to|insecure) (\w+ )?relay
        not (permitted|authori[sz]ed|compliant)|user complaints|unexpected volume
        too many (recipients|connections|messages|sessions|invalid)|(rate|sending) limit
        (multiple|missing|invalid|malformed|bad|duplicate) ... (header|from:)
        \b(header|protocol|syntax|sequence|[eh][he]lo) ... (error|violation|invalid)
        parameter not|(improper|bad|invalid) (use|sequence|syntax|helo|ehlo)\b
        invalid (domain|host) name|name was rejected|mismatch|use the smtp server of|your isp
        \b(client (address|host|ip)|(your|sending) ip|ip (name|lookup)|ip=)
        \b(message|mail|content|attachment) (was |has been |is )*(blocked|filtered|scored as)
    """,
    "takes no mail": r"""
        \b(HOST|system|server|site|address) ... NOT accept\w* (any )?(e?-?mail|network messages)
        \b(HOST|system|server|site|address) ... NOT receiv\w* (any )?(e?-?mail|messages)
        null ?mx|no (smtp|mail) service|couldn'?t find a mail exchanger
    """,
    "no such host": r"""
        \bHOST ... (unknown|not (be )?(found|known|exist|resolve|listed)|is invalid)
        \bHOST ... (does(n'?t| not) exist|non-?existent|no longer exist)
        (unknown|no such|invalid|illegal|bad|unrouteable) (mail |remote |recipient )*HOST\b
        (could ?n.t|could not|can ?not|can'?t|unable to) (find|resolve|locate|lookup) ... HOST\b
        nxdomain|no (mx|mail exchanger|route to (host|domain))|all relevant mx
        unrouteable address|name (server|service) ... not found|account or domain may not exist
        \b(\w[\w-]*\.)+[a-z]{2,} does not exist
    """,
    "no such address": r"""
        \bWHO ... (unknown|unavailable|incorrect|invalid|no longer|isn'?t)
        \bWHO ... not (be )?(found|known|exist|recogni[sz]ed|listed|valid|here|registered|local)
        \bWHO ... not (available|a |in |our )|\bWHO ... couldn'?t be found
        \bWHO ... NOT (exist|have|match|appear)
        \bno(t a)? (such |a |any |valid |known |local |active |matching )*WHO
        \b(unknown|invalid|illegal|bad|undeliverable|non-?existent|undefined|incorrect) WHO
        \b(unknown|invalid|illegal|bad) (\w+ ){1,2}WHO|BOX (\w+ )*rejected|no matches
        user ?unknown|unknown ?user|recip\w*not\w*found|bad-mailbox|not listed in
        NOT have an? (account|mailbox|final)|mail ?box name not allowed
        no (one|body) (here )?(by|with|of) that name
        (adresse|destinataire|utilisateur) ... (inconnu|invalide|n'existe pas|introuvable)
        (empf(a|ä|ae)nger|benutzer|adresse|postfach) ... unbekannt
        (empf(a|ä|ae)nger|benutzer|adresse|postfach) ... nicht (gefunden|bekannt|vorhanden)
        (usuario|usu[aá]rio|utente|indirizzo|gebruiker) ... (desconocid|desconhecid|no existe)
        (usu[aá]rio|utente|indirizzo|gebruiker) ... (inexist|non esiste|sconosciut|onbekend)
        (宛先|あて先|アドレス|ディレクトリ) ... (見つか|存在|不明|ありません)
    """,
    "message refused": r"""
        \b(message|mail|e-?mail|content) (was |has been |is |not )*(reject|refus|accept)
    """,
    "late": r"""
        time ?d? ?out|too long|expired|giving up|retry|retries|attempts|try again|temporar
        deferred|delayed|not responding|unreachable|not reachable|busy|within \d+|malformed
        (connect|connection|network|socket) ... (refused|reset|lost|closed|failed|error|to)
    """,
}


def _compiled(lines: str) -> re.Pattern[str]:
    words = "|".join(filter(None, map(str.strip, lines.splitlines())))
    for name in ("WHO", "BOX", "HOST", "NOT"):
        words = words.replace(name, _NOUNS[name])
    words = words.replace(" ... ", ".{0,40}?").replace(" ", r"(?:\W{1,3})")
    return re.compile(words, re.IGNORECASE)


_RULES = {reason: _compiled(lines) for reason, lines in _WORDS.items()}

# For those whose words say nothing.
_STATUSES: tuple[tuple[str, Reason], ...] = (
    (r"5\.1\.[78]$", "sender refused"),
    (r"5\.1\.2$|5\.4\.4$|5\.4\.310$", "no such host"),
    (r"5\.1\.6$", "moved"),
    (r"5\.(3\.2|7\.27)$", "takes no mail"),
    (r"5\.1\.[1-9]", "no such address"),
    (r"[45]\.2\.2$", "mailbox full"),
    (r"[45]\.(2\.3|3\.4)$", "too big"),
    (r"[45]\.2\.1$|5\.7\.13$", "disabled"),
    (r"[45]\.[67]\.|5\.5\.[1-9]", "blocked"),
    (r"4\.", "late"),
)

# The names in a reply are not its words; nor are those of the server that passes it on.
_NAMES = re.compile(r"<?[^\s<>@:;,\"']+@[^\s<>@:;,\"']+\w>?|https?://\S+")
_REPLY = re.compile(r"\b[45][0-5]\d[ -](?=[45]\.\d\.\d|\D)")
_CLEAR = re.compile(r"5\.1\.(1|10)$")
_AT_START = re.compile(
    r"(after|reply to) (mail from|[eh][he]lo|initial)|mail_from\]", re.IGNORECASE
)
_AT_RCPT = re.compile(
    r"\bRCPT (to|command|host)|in RCPT|RCPT_TO|does not like recipient|bad-mailbox", re.IGNORECASE
)
_AT_DATA = re.compile(
    r"(end of|reply to|after|command:?|>>>|\() ?data\b|after i sent the message", re.IGNORECASE
)


def reason_of(words: str) -> Reason | None:
    """What the words of a refusal say, if they say anything."""
    return next(iter(_reasons(words)), None)


def judge(words: str, status: str, context: str) -> Reason | None:
    """Why a mail was refused: from what was said, its status if any, and the notice around."""
    reply = _REPLY.search(words)
    reasons = _reasons(words[reply.start() :] if reply else words)
    reason = next(iter(reasons), None)
    if _AT_START.search(context) and reason != "late":
        # Nobody had been named yet.
        return "sender refused"
    if reason == "blocked" and "no such address" in reasons and _CLEAR.match(status):
        return "no such address"
    if reason == "no such address" and not status.startswith("5.1."):
        if (other := reason_of(context)) in ("mailbox full", "disabled"):
            return other
        # Filters call a user unknown whose mail they refuse: late, or with some other status.
        around = f"{words} {context}"
        if not _AT_RCPT.search(around) and (status or _AT_DATA.search(around)):
            return "blocked" if status.startswith("5.7.") else "refused"
    return reason or _reason_of_status(status)


def _reasons(words: str) -> list[Reason]:
    words = _NAMES.sub(" an address ", words)
    return [reason for reason, rule in _RULES.items() if rule.search(words)]


def _reason_of_status(status: str) -> Reason | None:
    return next((reason for rule, reason in _STATUSES if re.match(rule, status)), None)
