"""How to reach Redis, as a mounted Secret says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from report_operator.adapters.redis.client import (
    RedisSettings,
    RedisSettingsError,
    describe,
    read_settings,
)


def test_absent_settings_have_defaults(tmp_path: Path) -> None:
    expected = RedisSettings("redis", 6379, None, None, tls=False, ca_file=None)
    assert read_settings(tmp_path) == expected
    assert read_settings(tmp_path / "none") == expected


def test_settings_are_read_from_every_key(tmp_path: Path) -> None:
    keys = {"host": "r.test\n", "port": "7", "username": "u", "password": "p", "tls": "True"}
    for key, value in (keys | {"ca.crt": "x"}).items():
        (tmp_path / key).write_text(value)
    assert read_settings(tmp_path) == RedisSettings(
        "r.test", 7, "u", "p", tls=True, ca_file=tmp_path / "ca.crt"
    )


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("port", "0", "port: write a number from 1 to 65535"),
        ("port", "٣", "port: write a number"),
        ("port", "-1", "port: write a number"),
        ("tls", "on", "tls: write true or false"),
    ],
)
def test_invalid_setting_is_named(tmp_path: Path, key: str, value: str, said: str) -> None:
    (tmp_path / key).write_text(value)
    with pytest.raises(RedisSettingsError, match=said):
        read_settings(tmp_path)


def test_undecodable_password_is_not_in_the_message(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b"secret\xff")
    with pytest.raises(RedisSettingsError, match="password: ") as told:
        read_settings(tmp_path)
    assert "secret" not in str(told.value)


def test_error_without_a_message_is_described() -> None:
    assert describe(TimeoutError()) == "no answer in time"
    assert describe(OSError("a\nb")) == "a b"
