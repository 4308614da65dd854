"""arXiv's pages, written by hand in its formats: three papers on each."""

import json
from typing import Any

BEES = {
    "id": "2611.00001",
    "title": "Bees That\n  Count",
    "abstract": "We count bees, hard-wrapped\nas $n^2$ &lt; 9.",
    "authors": ["Ada Lovelace", "Zoë Ámos"],
    "categories": ["cs.LG", "q-bio.PE"],
}
RIVERS = {
    "id": "2611.00002",
    "title": "Rivers That Wait",
    "abstract": "Slow rivers keep time badly.",
    "authors": ["Grace Hopper"],
    "categories": ["physics.flu-dyn", "cs.LG"],
}
KETTLES = {
    "id": "physics/0611003",
    "title": "Kettles That Sing",
    "abstract": "They sing because small bubbles collapse.",
    "authors": ["Emmy Noether", "Hertha Ayrton"],
    "categories": ["physics.pop-ph"],
}
PAPERS = [BEES, RIVERS, KETTLES]

NAMESPACES = (
    'xmlns:arxiv="http://arxiv.org/schemas/atom" xmlns:dc="http://purl.org/dc/elements/1.1/"'
)
OPENED = "<?xml version='1.0' encoding='UTF-8'?>\n"


def rss_item(
    paper: dict[str, Any], announced: str = "new", version: int = 1, more: str = ""
) -> str:
    """An announcement as rss.arxiv.org words it in RSS 2.0."""
    categories = "".join(f"<category>{category}</category>" for category in paper["categories"])
    lead = f"arXiv:{paper['id']}v{version} Announce Type: {announced} "
    return f"""<item>
<title>{paper["title"]}</title>
<link>https://arxiv.org/abs/{paper["id"]}</link>
<description>{lead}
Abstract: {paper["abstract"]}</description>
<guid isPermaLink="false">oai:arXiv.org:{paper["id"]}v{version}</guid>
{categories}
<pubDate>Fri, 20 Nov 2026 00:00:00 -0500</pubDate>
<arxiv:announce_type>{announced}</arxiv:announce_type>
<dc:creator>{", ".join(paper["authors"])}</dc:creator>{more}
</item>"""


def rss(*items: str, title: str = "cs.LG updates on arXiv.org") -> bytes:
    """A feed of a category in RSS 2.0."""
    return f"""{OPENED}<rss {NAMESPACES} version="2.0"><channel>
<title>{title}</title>
<link>http://rss.arxiv.org/rss/cs.LG</link>
<description>cs.LG updates on the arXiv.org e-print archive.</description>
<lastBuildDate>Fri, 20 Nov 2026 05:00:14 +0000</lastBuildDate>
<pubDate>Fri, 20 Nov 2026 00:00:00 -0500</pubDate>
<skipDays><day>Sunday</day><day>Saturday</day></skipDays>
{"".join(items)}
</channel></rss>""".encode()


def atom_entry(paper: dict[str, Any], announced: str = "new") -> str:
    """An announcement as rss.arxiv.org words it in Atom."""
    categories = "".join(f'<category term="{category}"/>' for category in paper["categories"])
    return f"""<entry>
<id>oai:arXiv.org:{paper["id"]}v1</id>
<title>{paper["title"]}</title>
<updated>2026-11-20T05:00:19.899254+00:00</updated>
<link href="https://arxiv.org/abs/{paper["id"]}" rel="alternate" type="text/html"/>
<summary>arXiv:{paper["id"]}v1 Announce Type: {announced} \nAbstract: {paper["abstract"]}</summary>
{categories}
<published>2026-11-20T00:00:00-05:00</published>
<arxiv:announce_type>{announced}</arxiv:announce_type>
<dc:creator>{", ".join(paper["authors"])}</dc:creator>
</entry>"""


def atom(*entries: str) -> bytes:
    """A feed of a category in Atom, built while it was still yesterday in New York."""
    return f"""{OPENED}<feed {NAMESPACES} xmlns="http://www.w3.org/2005/Atom">
<id>http://rss.arxiv.org/atom/cs.LG</id>
<title>cs.LG updates on arXiv.org</title>
<updated>2026-11-20T04:59:19.866337+00:00</updated>
{"".join(entries)}
</feed>""".encode()


def api_entry(paper: dict[str, Any], version: int = 1, more: str = "") -> str:
    """A result of the query API."""
    authors = "".join(f"<author><name>{name}</name></author>" for name in paper["authors"])
    categories = "".join(
        f'<category term="{category}" scheme="http://arxiv.org/schemas/atom"/>'
        for category in paper["categories"]
    )
    return f"""<entry>
<id>http://arxiv.org/abs/{paper["id"]}v{version}</id>
<title>{paper["title"]}</title>
<updated>2026-11-{16 + version}T17:59:49Z</updated>
<link href="https://arxiv.org/abs/{paper["id"]}v{version}" rel="alternate" type="text/html"/>
<link href="https://arxiv.org/pdf/{paper["id"]}v{version}" rel="related" title="pdf"/>
<summary>{paper["abstract"]}</summary>
{categories}
<published>2026-11-17T17:59:49Z</published>{more}
{authors}
</entry>"""


def api(*entries: str, total: int | None = None, start: int = 0, size: int = 10) -> bytes:
    """An answer of the query API."""
    return f"""{OPENED}<feed xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/" \
xmlns:arxiv="http://arxiv.org/schemas/atom" xmlns="http://www.w3.org/2005/Atom">
<id>https://arxiv.org/api/AmP52hjugHUk</id>
<title>arXiv Query: search_query=cat:cs.LG&amp;id_list=&amp;start={start}</title>
<updated>2026-11-20T22:07:14Z</updated>
<link href="https://arxiv.org/api/query?search_query=cat:cs.LG" type="application/atom+xml"/>
<opensearch:itemsPerPage>{size}</opensearch:itemsPerPage>
<opensearch:totalResults>{len(entries) if total is None else total}</opensearch:totalResults>
<opensearch:startIndex>{start}</opensearch:startIndex>
{"".join(entries)}
</feed>""".encode()


def oai_record(
    paper: dict[str, Any], metadata: str = "", status: str = "", changed: str = "2026-11-20"
) -> str:
    """A record of OAI-PMH, in the format arXiv unless `metadata` is given."""
    authors = "".join(
        "<author><keyname>{1}</keyname><forenames>{0}</forenames></author>".format(*name.split())
        for name in paper["authors"]
    )
    metadata = (
        metadata
        or f"""<arXiv xmlns="http://arxiv.org/OAI/arXiv/">
<id>{paper["id"]}</id><created>2026-11-17</created><authors>{authors}</authors>
<title>{paper["title"]}</title><categories>{" ".join(paper["categories"])}</categories>
<abstract>  {paper["abstract"]}
</abstract></arXiv>"""
    )
    held = f"<metadata>{metadata}</metadata>" if not status else ""
    return f"""<record><header{status}><identifier>oai:arXiv.org:{paper["id"]}</identifier>
<datestamp>{changed}</datestamp><setSpec>physics:hep-ex</setSpec></header>{held}</record>"""


def oai(*records: str, token: str = "") -> bytes:
    """An answer to ListRecords."""
    return oai_answer(f"<ListRecords>{''.join(records)}{token}</ListRecords>")


def oai_answer(inside: str) -> bytes:
    """Any answer of OAI-PMH."""
    return f"""{OPENED}<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">
<responseDate>2026-11-21T18:45:11Z</responseDate>
<request verb="ListRecords">http://oaipmh.arxiv.org/oai</request>{inside}</OAI-PMH>""".encode()


def day_line(paper: dict[str, Any], **more: Any) -> str:
    """A line of a day's file."""
    line = {
        "id": paper["id"],
        "categories": paper["categories"],
        "pdf": f"https://arxiv.org/pdf/{paper['id']}",
        "abs": f"https://arxiv.org/abs/{paper['id']}",
        "authors": paper["authors"],
        "title": paper["title"],
        "comment": None,
        "summary": paper["abstract"].replace("&lt;", "<"),
    }
    return json.dumps({**line, **more})


def days(*lines: str) -> bytes:
    """A day's file."""
    return "".join(f"{line}\n" for line in lines).encode()


PAGES = {
    "arxiv-feed": rss(*map(rss_item, PAPERS)),
    "arxiv-api": api(*map(api_entry, PAPERS)),
    "arxiv-oai": oai(*map(oai_record, PAPERS)),
    "arxiv-days": days(*map(day_line, PAPERS)),
}
