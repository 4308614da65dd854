"""Pages of the other formats, written by hand: three papers on each."""

import html
import json
from typing import Any

HF_ENTRIES = [
    {
        "paper": {
            "id": f"2611.0000{n}",
            "title": title,
            "summary": f"We study <this> & that.\nIt takes {n} hours.",
            "authors": [{"name": "Ada Lovelace", "hidden": False}],
            "publishedAt": "2026-11-19T10:00:00.000Z",
            "submittedOnDailyAt": "2026-11-20T02:00:00.000Z",
            "upvotes": n,
        },
        "numComments": 1,
    }
    for n, title in enumerate(['Bees That "Count"', "Rivers That Wait", "Kettles Sing"], start=1)
]


def hf_page(entries: list[dict[str, Any]], date: str = "2026-11-20T00:00:00.000Z") -> bytes:
    """A page of a day as the site sends it, cut short around the list."""
    props = html.escape(json.dumps({"date": date, "dailyPapers": entries, "nextDate": None}))
    return (
        "<!doctype html>\n<html class=''><head><title>Daily Papers</title></head><body><div "
        'class="S" data-target="MainHeader" data-props="{&quot;a&quot;:1}"><a href="/">x</a></div>'
        f'<div class="S" data-target="DailyPapers" data-props="{props}"><main></main></div>'
        "</body></html>"
    ).encode()


def post(n: int, title: str, **said: Any) -> dict[str, Any]:
    """A row of the details API."""
    return {
        "title": title,
        "authors": "Lovelace, A.; Hopper, G. B.",
        "author_corresponding": "Ada Lovelace",
        "doi": f"10.1101/2026.11.18.00000{n}",
        "date": "2026-11-20",
        "version": "1",
        "type": "new results",
        "license": "cc_by",
        "category": "ecology",
        "abstract": "<p>We count <i>Apis</i> bees.</p>\n<p>There are &lt; 9.</p>",
        "published": "NA",
        "server": "bioRxiv",
    } | said


def posts(*rows: dict[str, Any], **message: Any) -> bytes:
    """An answer of the details API."""
    said = {"status": "ok", "cursor": 0, "count": len(rows), "total": str(len(rows))} | message
    return json.dumps({"messages": [said], "collection": rows}).encode()


RSS = b"""<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"
     xmlns:prism="http://prismstandard.org/namespaces/basic/2.0/">
<channel><title>Journal of Small Things</title><link>https://journal.example/</link>
<lastBuildDate>Sat, 21 Nov 2026 06:00:00 GMT</lastBuildDate>
<item><title>Bees That &lt;i&gt;Count&lt;/i&gt;</title>
  <link>https://journal.example/articles/1?af=R&amp;x=1</link>
  <description>&lt;p&gt;Author(s): A. Lovelace and G. Hopper&lt;/p&gt;&lt;p&gt;We count bees
    &amp;amp; wasps.&lt;/p&gt;&lt;p&gt;[J. Small 1, 2] Published Fri Nov 20, 2026&lt;/p&gt;
  </description>
  <prism:doi>10.1000/small.1</prism:doi><category>Bees</category>
  <pubDate>Fri, 20 Nov 2026 05:00:00 GMT</pubDate></item>
<item><title>Rivers That Wait</title><link>https://arxiv.org/abs/2611.00002v1</link>
  <description>Slow rivers keep time badly if a&lt;b, for all b.</description>
  <dc:creator>Grace Hopper</dc:creator><dc:creator>Alan Kay</dc:creator>
  <pubDate>Thu, 19 Nov 2026 05:00:00 GMT</pubDate></item>
<item><title>Kettles That Sing</title><guid>https://doi.org/10.1000/small.3</guid>
  <description>Journal of Small Things, Volume 3, Issue 2, November 2026.</description></item>
</channel></rss>
"""

ATOM = b"""<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>A blog</title><id>urn:x</id>
<updated>2026-11-20T10:00:00Z</updated>
<entry><title type="html">Bees &amp;amp; wasps</title><id>urn:1</id>
  <link rel="alternate" href="https://blog.example/bees"/><updated>2026-11-20T10:00:00Z</updated>
  <author><name>Ada Lovelace</name></author>
  <content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>We count.</p><p>Bees.</p></div>
  </content></entry>
</feed>
"""

RDF = b"""<?xml version="1.0"?>
<!DOCTYPE rdf:RDF [<!ENTITY nbsp "&#160;">]>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
         xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel rdf:about="https://j.example/"><title>J</title><dc:date>2026-11-20</dc:date></channel>
<item rdf:about="https://j.example/1"><title>Bees That Count</title><link>https://j.example/1</link>
<dc:identifier>doi:10.1000/j.1</dc:identifier><dc:creator>Lovelace, Ada</dc:creator></item>
</rdf:RDF>
"""

JSON_FEED = json.dumps(
    {
        "version": "https://jsonfeed.org/version/1.1",
        "title": "A feed",
        "items": [
            {
                "id": "1",
                "url": "https://blog.example/1",
                "title": "Bees That Count",
                "content_html": "<p>We count <b>bees</b>.</p>",
                "date_published": "2026-11-20T08:00:00+02:00",
                "authors": [{"name": "Ada Lovelace"}, {"name": "Grace Hopper"}],
                "tags": ["bees"],
            },
            {"id": "2", "content_text": "A note without a title."},
        ],
    }
).encode()

JSON_LINES = b"""\
{"Title": "Bees That Count", "abstract": "We\\ncount.", "authors": ["Ada Lovelace"], "doi": "10.1000/b.1"}
{"title": "Rivers That Wait", "summary": "Slow.", "authors": [{"name": "Grace Hopper"}], "arxiv_id": null}

{"title": "Kettles That Sing", "author": "Noether, Emmy", "id": "physics/0611003", "date": "2026-11-20"}
"""  # noqa: E501

CSV = '''\
\ufeff"Key","Author","Title","Publication Year","DOI","Url","Abstract Note","Date"
"A","Lovelace, Ada; Hopper, Grace","Bees, That ""Count""","2026","10.1000/b.1","https://b.example/1","We
count bees.","2026-11-20"
"B","Kay, Alan","Rivers That Wait","2026","","https://arxiv.org/abs/2611.00002","","2026"
"C","","Kettles That Sing","","","","They sing.",""
'''.encode()

BIBTEX = rb"""
% A library with its usual faults.
@string{jst = "Journal of Small Things"}
@article{lovelace2026bees,
  title = {Bees {That} Count},
  author = {Lovelace, Ada and G{\"o}del, Kurt and {Bees, Inc.} and others},
  journal = jst # ", Series B", date = {2026-11-20}, doi = {10.1000/small\_1},
  abstract = {We count bees,
    hard-wrapped. $x_{1}$ too.}
}
@inproceedings{lovelace2026bees, title = "Rivers That {"}Wait{"}",
  year = 2026, eprint = {2611.00002v2}, archivePrefix = {arXiv}}
@misc{kettles,
  title = {Kettles That {\emph{Sing}}}
  author = {Emmy Noether},
  journal = {arXiv preprint arXiv:2611.00003}
"""

ZOTERO = b"""<?xml version="1.0"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
  xmlns:z="http://www.zotero.org/namespaces/export#" xmlns:dcterms="http://purl.org/dc/terms/"
  xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:bib="http://purl.org/net/biblio#"
  xmlns:foaf="http://xmlns.com/foaf/0.1/" xmlns:link="http://purl.org/rss/1.0/modules/link/">
<bib:Article rdf:about="https://b.example/1"><z:itemType>journalArticle</z:itemType>
  <dcterms:isPartOf rdf:resource="urn:issn:1234-5678"/>
  <bib:authors><rdf:Seq><rdf:li><foaf:Person><foaf:surname>Lovelace</foaf:surname>
    <foaf:givenName>Ada</foaf:givenName></foaf:Person></rdf:li></rdf:Seq></bib:authors>
  <dc:title>Bees That Count</dc:title><dcterms:abstract>We count
bees.</dcterms:abstract><dc:date>2026-11-20</dc:date></bib:Article>
<bib:Journal rdf:about="urn:issn:1234-5678"><dc:title>Small Things</dc:title>
  <dc:identifier>DOI 10.1000/b.1</dc:identifier></bib:Journal>
<z:Attachment rdf:about="#item_1"><z:itemType>attachment</z:itemType>
  <dc:title>Full Text PDF</dc:title></z:Attachment>
<rdf:Description rdf:about="#item_2"><z:itemType>preprint</z:itemType>
  <dc:identifier><dcterms:URI><rdf:value>https://arxiv.org/abs/2611.00002</rdf:value></dcterms:URI>
  </dc:identifier><dc:title>Rivers That Wait</dc:title><dc:date>2026</dc:date></rdf:Description>
<bib:Document rdf:about="#item_3"><z:itemType>document</z:itemType>
  <dc:title>Kettles That Sing</dc:title></bib:Document>
</rdf:RDF>
"""

ZOTERO_JSON = json.dumps(
    [
        {
            "key": f"ABCD000{n}",
            "version": n,
            "library": {"type": "user", "id": 1},
            "data": {
                "itemType": "journalArticle",
                "title": f"Bees That <i>Count</i> to {n}",
                "creators": [
                    {"creatorType": "author", "firstName": "Ada", "lastName": "Lovelace"},
                    {"creatorType": "editor", "name": "The Bee Society"},
                ],
                "abstractNote": "We count bees.",
                "date": "2026-11-20",
                "DOI": f"10.1000/bees.{n}",
                "url": "https://journal.example/bees",
                "extra": f"PMID: 1\narXiv:2611.0000{n} [cs]",
            },
        }
        for n in (1, 2, 3)
    ]
    + [{"data": {"itemType": "note", "note": "<p>Read it again</p>"}}, 7]
).encode()

PAGES = {
    "hf-page": hf_page(HF_ENTRIES),
    "biorxiv": posts(*(post(n, f"Bees That Count to {n}") for n in (1, 2, 3))),
    "feed": RSS,
    "json-lines": JSON_LINES,
    "csv": CSV,
    "bibtex": BIBTEX,
    "zotero-rdf": ZOTERO,
    "zotero-json": ZOTERO_JSON,
}
