from dataclasses import replace

from digest.mail.content import LANES
from digest.ranking.types import Lane
from tests.mail.sample import ITEM, mail


def test_what_trends_outside_has_its_own_place_and_three_lead() -> None:
    lanes: tuple[Lane, ...] = ("personal", "trending", "personal", "exploration", "personal")
    made = mail(*(replace(ITEM, title=lane + str(n), lane=lane) for n, lane in enumerate(lanes)))
    assert [paper.title for paper in made.lead] == ["personal0", "personal2", "exploration3"]
    assert [paper.title for paper in made.brief] == ["personal4"]
    assert [paper.title for paper in made.outside] == ["trending1"]


def test_where_nothing_is_inside_nothing_is_outside() -> None:
    made = mail(*[replace(ITEM, lane="trending")] * 5)
    assert (len(made.lead), len(made.brief), made.outside) == (3, 2, ())


def test_every_lane_has_a_label() -> None:
    for lane, label in LANES.items():
        assert mail(ITEM, replace(ITEM, lane=lane)).papers[1].lane_label == label
