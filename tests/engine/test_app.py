from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier

import pytest

from digest.delivery.suppression import add_suppression
from digest.delivery.transport import Maildir, Smtp
from digest.engine import begin_with_key, open_app, read_secret
from digest.engine.app import KEY_FILE
from digest.engine.backup import back_up
from digest.errors import BadSettings
from digest.links import Claim
from digest.settings import Settings
from tests.engine.world import SEVEN, installed
from tests.worlds import WordEncoder


def beside(folder: Path) -> Settings:
    return Settings(database=f"sqlite:///{folder / 'digest.db'}")


def test_the_secret_of_the_settings_is_used_and_no_file_is_made(tmp_path: Path) -> None:
    settings = beside(tmp_path).model_copy(
        update=Settings.model_validate({"secret_key": "from the settings"}).model_dump(
            include={"secret_key"}
        )
    )
    assert read_secret(settings) == b"from the settings"
    assert list(tmp_path.iterdir()) == []


def test_else_a_key_is_made_beside_the_database_for_its_owner_alone(tmp_path: Path) -> None:
    secret = read_secret(beside(tmp_path))
    (file,) = tmp_path.iterdir()
    assert (file.name, file.stat().st_mode & 0o777) == (KEY_FILE, 0o600)
    assert file.read_bytes() == secret
    assert len(secret) >= 32
    assert read_secret(beside(tmp_path)) == secret


def test_two_installations_have_different_keys(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    assert len({read_secret(beside(folder)) for folder in folders}) == 2


def test_processes_that_start_at_once_agree_on_the_key(tmp_path: Path) -> None:
    start = Barrier(8)

    def starter(_n: int) -> bytes:
        start.wait()
        return read_secret(beside(tmp_path))

    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(starter, range(8)))
    assert len(secrets) == 1
    assert [file.name for file in tmp_path.iterdir()] == [KEY_FILE]


@pytest.mark.parametrize("database", ["postgresql://me@db.example/digest", "sqlite://"])
def test_a_database_that_no_file_can_lie_beside_needs_the_setting(database: str) -> None:
    with pytest.raises(BadSettings, match="secret_key: must be set"):
        read_secret(Settings(database=database))


def test_a_key_that_cannot_be_written_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSettings, match=r"digest\.key: Not a directory; set secret_key"):
        read_secret(beside(tmp_path / "file"))


def test_an_empty_key_file_signs_nothing(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_text("\n")
    with pytest.raises(BadSettings, match=r"digest\.key is empty: put the key back"):
        open_app(beside(tmp_path), encoder=WordEncoder())


def test_opening_twice_finds_what_is_there(tmp_path: Path, sqlite_url: str) -> None:
    claim = Claim("unsubscribe", 1, SEVEN)
    tokens = set()
    for _ in range(2):
        with installed(tmp_path, sqlite_url) as world:
            tokens.add(world.app.links.token(claim))
    assert len(tokens) == 1


def test_a_key_that_is_gone_from_a_database_in_use_is_not_made_anew(tmp_path: Path) -> None:
    file = tmp_path / KEY_FILE
    for _ in range(2):
        file.unlink(missing_ok=True)
        app = open_app(beside(tmp_path), encoder=WordEncoder())
        app.sessions.engine.dispose()
    key = file.read_bytes()
    with app.sessions() as session:
        add_suppression(session, "ann@example.org", key, reason="asked", now=SEVEN)
    app.sessions.engine.dispose()
    file.unlink()
    for opened in (open_app, partial(back_up, to=tmp_path / "backup", now=SEVEN)):
        with pytest.raises(BadSettings, match=r"digest\.key is gone, .* put it back"):
            opened(beside(tmp_path))
    assert not file.exists()
    file.write_bytes(key)
    app = open_app(beside(tmp_path), encoder=WordEncoder())
    assert app.secret == key
    app.sessions.engine.dispose()


def test_another_key_than_the_one_that_a_database_is_used_with_is_refused(
    tmp_path: Path, database_url: str
) -> None:
    def of(secret: str) -> Settings:
        return Settings.model_validate({"database": database_url, "secret_key": secret})

    for secret in ("of nobody so far", "the right one of all"):
        app = open_app(of(secret), encoder=WordEncoder())
        app.sessions.engine.dispose()
    with app.sessions() as session:
        add_suppression(session, "ann@example.org", app.secret, reason="asked", now=SEVEN)
    app.sessions.engine.dispose()
    for secret in ("of nobody so far", "of another machine"):
        for opened in (open_app, partial(back_up, to=tmp_path / "backup", now=SEVEN)):
            with pytest.raises(BadSettings, match="not the one that this database has been used"):
                opened(of(secret))
    open_app(of("the right one of all"), encoder=WordEncoder()).sessions.engine.dispose()
    begin_with_key(of("of another machine"))
    open_app(of("of another machine"), encoder=WordEncoder()).sessions.engine.dispose()


def test_mail_goes_to_a_folder_until_a_server_is_named(tmp_path: Path, sqlite_url: str) -> None:
    for host, outlet in ((None, Maildir), ("localhost", Smtp)):
        settings = Settings.model_validate(
            {
                "database": sqlite_url,
                "smtp": {"host": host, "username": "me", "password": "secret"},
            }
        )
        app = open_app(settings, encoder=WordEncoder())
        assert isinstance(app.transport(), outlet)
        app.sessions.engine.dispose()


def test_an_app_prints_no_secret(tmp_path: Path) -> None:
    settings = Settings.model_validate({"secret_key": "hunter2 hunter2", "database": "sqlite://"})
    assert "hunter2" not in repr(settings)
    app = open_app(beside(tmp_path), encoder=WordEncoder())
    assert app.secret.decode() not in repr(app)
    app.sessions.engine.dispose()
