import re
import stat
import tomllib
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from digest.engine import read_secret
from digest.errors import BadSettings
from digest.settings import (
    Settings,
    SourceSettings,
    SubscriberDefaults,
    load_settings,
)

EXAMPLE = files("digest.cli").joinpath("digest.toml").read_text(encoding="utf-8")


def loaded(tmp_path: Path, toml: str, **environ: str) -> Settings:
    file = tmp_path / "digest.toml"
    file.write_text(toml, encoding="utf-8")
    return load_settings(file, environ)


def fault(tmp_path: Path, toml: str, **environ: str) -> str:
    with pytest.raises(BadSettings) as refused:
        loaded(tmp_path, toml, **environ)
    said = str(refused.value)
    assert "\n" not in said
    return said.removeprefix(f"{tmp_path}/")


# Where values come from


def test_without_a_file_everything_has_a_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(None, {"HOME": "/home/ada"})
    assert settings.database == f"sqlite:///{tmp_path / 'digest.db'}"
    assert settings.mail.maildir == tmp_path / "outbox"
    assert settings.smtp.host is None
    assert settings.defaults == SubscriberDefaults()


def test_an_empty_file_is_all_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert loaded(tmp_path, "") == load_settings(None, {})
    assert loaded(tmp_path, "\ufeff") == load_settings(None, {})


def test_the_file_sets_what_it_names(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        'base_url = "https://digest.example.org/"\n[smtp]\nhost = "mail.example.org"\n'
        '[[sources]]\nname = "daily"\nurl = "https://example.org/feed/"\nhours = [5, 12]\n',
    )
    assert settings.base_url == "https://digest.example.org"
    assert (settings.smtp.host, settings.smtp.port) == ("mail.example.org", 587)
    (source,) = settings.sources
    assert (source.url, source.hours) == ("https://example.org/feed/", (5, 12))


def test_a_variable_is_laid_over_the_file(tmp_path: Path) -> None:
    toml = '[smtp]\nhost = "mail.example.org"\nport = 25\n'
    settings = loaded(tmp_path, toml, DIGEST_SMTP_PORT="465", DIGEST_DEFAULTS_HOUR="9")
    assert (settings.smtp.host, settings.smtp.port) == ("mail.example.org", 465)
    assert settings.defaults.hour == 9


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "", DIGEST_SMTP_HOST="", DIGEST_SECRET_KEY="", DIGEST_TYPO="")
    assert settings.smtp.host is None
    assert settings.secret_key is None


def test_secrets_may_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("  a key of many letters\n")
    (tmp_path / "url").write_text("postgresql://digest:pass@db/digest\n")
    settings = loaded(
        tmp_path,
        "",
        DIGEST_SECRET_KEY_FILE=str(tmp_path / "key"),
        DIGEST_DATABASE_FILE=str(tmp_path / "url"),
    )
    assert settings.secret_key is not None
    assert settings.secret_key.get_secret_value() == "a key of many letters"
    assert settings.database == "postgresql://digest:pass@db/digest"


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot read"), (b" \n", "is empty"), (b"\xff\xfe", "is not UTF-8 text")],
)
def test_a_secrets_file_that_holds_none_is_refused(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    shown = fault(tmp_path, "", DIGEST_SECRET_KEY_FILE=str(tmp_path / "key"))
    assert shown.startswith("DIGEST_SECRET_KEY_FILE: ")
    assert said in shown


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    said = fault(tmp_path, "", DIGEST_SECRET_KEY="a", DIGEST_SECRET_KEY_FILE="b")
    assert said == "DIGEST_SECRET_KEY and DIGEST_SECRET_KEY_FILE are both set: choose one"


def test_what_kubernetes_sets_beside_a_service_named_digest_is_passed_over(tmp_path: Path) -> None:
    loaded(
        tmp_path,
        "",
        DIGEST_SERVICE_HOST="10.0.0.1",
        DIGEST_SERVICE_PORT_HTTP="8000",
        DIGEST_PORT="tcp://10.0.0.1:8000",
        DIGEST_PORT_8000_TCP_ADDR="10.0.0.1",
    )


# Paths


def test_relative_paths_begin_at_the_files_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    etc, elsewhere = tmp_path / "etc", tmp_path / "elsewhere"
    for folder in (etc / "model", elsewhere):
        folder.mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    toml = (
        'database = "sqlite:///data/d.db"\nencoder = "model"\n[mail]\nmaildir = "mail"\n'
        '[[sources]]\nname = "a"\npath = "pages/*.txt"\n[[sources]]\nname = "b"\npath = "/pages"\n'
    )
    settings = loaded(etc, toml)
    assert settings.database == f"sqlite:///{etc}/data/d.db"
    assert settings.encoder == str(etc / "model")
    assert settings.mail.maildir == etc / "mail"
    assert [source.path for source in settings.sources] == [etc / "pages/*.txt", Path("/pages")]


def test_relative_paths_in_variables_begin_at_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    etc, here = tmp_path / "etc", tmp_path / "here"
    etc.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    settings = loaded(
        etc,
        'database = "sqlite:///theirs.db"\n',
        DIGEST_DATABASE="sqlite:///mine.db",
        DIGEST_MAIL_MAILDIR="mail",
    )
    assert settings.database == f"sqlite:///{here}/mine.db"
    assert settings.mail.maildir == here / "mail"


@pytest.mark.parametrize(
    "url", ["sqlite:////var/lib/digest.db", "sqlite:///:memory:", "postgresql://db/digest"]
)
def test_a_database_that_is_nowhere_near_stays_where_it_is(tmp_path: Path, url: str) -> None:
    assert loaded(tmp_path, f'database = "{url}"\n').database == url


# What is wrong, and where


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("databse = 1", "line 1: databse: there is no such setting; did you mean database?"),
        ("\n[smpt]\nhost = 1", "line 2: smpt: there is no such setting; did you mean smtp?"),
        ("[smtp]\n\nhots = 1", "line 3: smtp.hots: there is no such setting; did you mean host?"),
        ("smtp.port = 0", "line 1: smtp.port: Input should be greater than or equal to 1"),
        ("[ 'smtp' ]\n\"port\" = 0", "line 2: smtp.port: Input should be greater"),
        ("smtp = {port = 0}", "line 1: smtp.port: Input should be greater"),
        ("[smtp.tls]\nx = 1", "line 1: smtp.tls: there is no such setting"),
        ("# port\n[web]\nport = 1\n[smtp]\n port= 'x'", "line 5: smtp.port: Input should be a "),
        ("[smtp]\nusername = 'me'", "line 1: smtp: username and password go together: "),
        ("[mail]\nfrom_address = 'me'", "line 2: mail.from_address: 'me' is no e-mail address: "),
        ("[defaults]\ntimezone = 'Berlin'", "did you mean Europe/Berlin?"),
        ("[defaults]\ntimezone = 'new york'", "did you mean America/New_York?"),
        (
            "[[sources]]\nname='a'\npath='a'\nbase_url='https://a.example'",
            "no such setting here: put base_url above the first [table]",
        ),
        (
            "[defaults]\nhour = 24",
            "line 2: defaults.hour: Input should be less than",
        ),
        ("[web]\nproxies = ['proxy']", "line 2: web.proxies: 'proxy' is no address or network"),
        ("base_url = 'digest'", "line 1: base_url: no web address like https://digest."),
        ("base_url = 'http://a/?b'", "line 1: base_url: links are made by adding to it"),
        ("[[sources]]\nname = 'a'\npath = 'a'\n[[sources]]\nname = 'A b'\npath = 'b'", "line 5: "),
        (
            "[[sources]]\nname = 'a'\npath = 'a'\n[[sources]]\npath = 'b'",
            "line 4: sources.1.name",
        ),
        ("[[sources]]\nname = 'a'", "line 1: sources.0: a source has either a url or a path"),
        ("[[sources]]\nname='a'\npath='a'\nhours = [5, 25]", "line 4: sources.0.hours.1: "),
        ("[[sources]]\nname='a'\npath='a'\nhour = 5", "did you mean hours?"),
        (
            "[[sources]]\nname='a'\npath='a'\n[[sources]]\nname='a'\npath='b'",
            "line 1: sources: two are named a",
        ),
        ("\n[sources]\nname='a'", "line 2: sources: each begins with [[sources]], two brackets"),
        ("[[sources]]\nname='a'\npath='a'\nhours = 5", "line 4: sources.0.hours: must be a list"),
        ("mail = 'me@example.org'", "line 1: mail: must be a table"),
        ("[rankers]\nfresh = 2", "line 2: rankers.fresh: must be a table"),
        ("rankers = 2", "line 1: rankers: must be a table"),
        ("engine = 'celery'", 'line 1: engine: "inline", or where RabbitMQ is'),
        (
            "[rankers.fresh]\nmomentun = 1",
            "line 2: rankers.fresh.momentun: there is no such setting",
        ),
        ("[rankers.fresh]\ndislike = -1", "line 2: rankers.fresh.dislike: Input should be greater"),
        ("[rankers]\nFresh = {}", "line 1: rankers: a name begins with a letter and has a-z, 0-9"),
        ("[rankers]\nstandard = {}", "line 1: rankers: standard is the one that is built in"),
        ("[summaries]\nmodel = 'x'", "line 1: summaries: url and model go together: set both"),
        ("[mail\n", "is not valid TOML: Expected ']' at the end of a table declaration (at line 1"),
        ("a = 1\na = 2\n", "is not valid TOML: Cannot overwrite a value (at line 2"),
    ],
)
def test_a_fault_in_the_file_is_named_with_key_and_line(
    tmp_path: Path, toml: str, said: str
) -> None:
    shown = fault(tmp_path, toml)
    assert shown.startswith(("digest.toml, line ", "digest.toml is not"))
    assert said in shown


def test_an_empty_user_name_is_none(tmp_path: Path) -> None:
    assert loaded(tmp_path, "[smtp]\nusername = ''\npassword = ''").smtp.username is None


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("DIGEST_SMTP_PROT", "25", "DIGEST_SMTP_PROT is no setting of Digest; did you mean "),
        ("DIGEST_SMTP_PORT", "x", "DIGEST_SMTP_PORT: Input should be a valid integer"),
        ("DIGEST_BASE_URL", "x", "DIGEST_BASE_URL: no web address like https://"),
        ("DIGEST_SMTP_USERNAME", "me", "digest.toml, line 1: smtp: username and password go"),
    ],
)
def test_a_fault_in_a_variable_is_named_with_the_variable(
    tmp_path: Path, variable: str, value: str, said: str
) -> None:
    assert fault(tmp_path, "[smtp]\nport = 25\n", **{variable: value}).startswith(said)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"cannot read .*lost.toml: No such file or directory"):
        load_settings(tmp_path / "lost.toml", {})
    with pytest.raises(BadSettings, match=r"cannot read .*: Is a directory"):
        load_settings(tmp_path, {})
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9\n")
    with pytest.raises(BadSettings, match="is not UTF-8: byte 5 is not text"):
        load_settings(tmp_path / "latin.toml", {})


@given(st.text())
def test_any_text_is_settings_or_one_refusal(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(text.encode("utf-8", "replace"))
    with suppress(BadSettings):
        load_settings(file, {})


# Secrets


def test_secrets_are_hidden_where_settings_are_printed(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        'database = "postgresql://digest:hunter2@db/digest"\nsecret_key = "hunter2hunter2hunter2"\n'
        '[smtp]\nusername = "me"\npassword = "hunter2"\n'
        '[[sources]]\nname = "a"\nurl = "https://me:hunter2@example.org/feed"\n',
    )
    for shown in (str(settings), repr(settings), f"{settings.smtp}", f"{settings.sources[0]!r}"):
        assert "hunter2" not in shown
    assert "postgresql://digest:***@db/digest" in str(settings)
    assert settings.database == "postgresql://digest:hunter2@db/digest"


def test_a_value_that_is_refused_is_not_shown_where_it_may_be_secret(tmp_path: Path) -> None:
    assert "hunter2" not in fault(tmp_path, "secret_key = ['hunter2']\n")


def test_the_key_of_an_embedded_database_is_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "")
    key = read_secret(settings)
    assert len(key) >= 32
    assert stat.S_IMODE((tmp_path / "digest.key").stat().st_mode) == 0o600
    assert read_secret(settings) == key == (tmp_path / "digest.key").read_bytes()


def test_a_key_in_the_settings_makes_no_file(tmp_path: Path) -> None:
    assert read_secret(loaded(tmp_path, 'secret_key = "of our own"')) == b"of our own"
    assert not (tmp_path / "digest.key").exists()


def test_a_server_database_without_a_key_is_refused(tmp_path: Path) -> None:
    settings = loaded(tmp_path, 'database = "postgresql://db/digest"')
    with pytest.raises(BadSettings, match="secret_key: must be set with this database"):
        read_secret(settings)


# The commented example that `digest init` writes


def keys_of(model: type[BaseModel]) -> dict[str, Any]:
    def inner(kind: Any) -> Any:
        is_part = isinstance(kind, type) and issubclass(kind, BaseModel)
        return keys_of(kind) if is_part else None

    return {
        name: keys_of(SourceSettings) if name == "sources" else inner(field.annotation)
        for name, field in model.model_fields.items()
    }


def uncommented() -> str:
    """The example with every commented setting and table heading made real."""
    return re.sub(r"^# ?(?=\[\[|\w+ = )", "", EXAMPLE, flags=re.MULTILINE)


def test_every_setting_is_in_the_example() -> None:
    example = tomllib.loads(uncommented())
    for name, inner in keys_of(Settings).items():
        assert name in example
        given = example[name]
        if name == "sources":
            given = {key: None for source in given for key in source}
        if inner is not None:
            assert set(given) == set(inner), name


def test_the_example_loads_as_it_is_and_with_every_comment_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert loaded(tmp_path, EXAMPLE) == load_settings(None, {})
    settings = loaded(tmp_path, uncommented())
    assert [source.name for source in settings.sources] == ["daily-papers", "saved-pages"]


def test_what_the_example_shows_is_the_default_where_it_does_not_say_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown, default = loaded(tmp_path, uncommented()), load_settings(None, {})
    assert shown.web.model_copy(update={"status_token": None}) == default.web
    for part in (
        "sunset",
        "log",
        "defaults",
        "database",
        "base_url",
        "secret_key",
        "encoder",
        "engine",
    ):
        assert getattr(shown, part) == getattr(default, part)
    assert (shown.mail.maildir, shown.smtp.port) == (default.mail.maildir, default.smtp.port)


def test_proxies_are_a_list_and_in_a_variable_parted_by_commas(tmp_path: Path) -> None:
    file = tmp_path / "digest.toml"
    file.write_text('[web]\nproxies = ["10.0.0.0/8", "::1"]')
    assert load_settings(file, {}).web.proxies == ("10.0.0.0/8", "::1")
    told = {"DIGEST_WEB_PROXIES": "127.0.0.1, 10.1.0.0/16"}
    assert load_settings(None, told).web.proxies == ("127.0.0.1", "10.1.0.0/16")
