"""Rows from objects of a real S3 server (rclone): all of them, exactly, or an error."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hack.testbed.rclone import ACCESS_KEY, SECRET_KEY, FileServer, s3_server
from report_runner.contract.reasons import Reason
from report_runner.models import ColumnType, RunError, Table
from tests.support.http_api import Reply, http_api
from tests.support.sources import fetch_rows, write_secret


@pytest.fixture(scope="module")
def server() -> Iterator[FileServer]:
    with s3_server() as made:
        yield made


@pytest.fixture
def bucket(server: FileServer, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """One of its own for each test, and the Secret."""
    write_secret(tmp_path, "store", accessKeyId=ACCESS_KEY, secretAccessKey=SECRET_KEY)
    name = "".join(
        c for c in request.node.name.lower().replace("_", "-") if c.isalnum() or c == "-"
    )
    return server.bucket(name[:60].strip("-"))


def get(server: FileServer, bucket: Path, root: Path, key: str, **options: Any) -> Table:
    fetching = {name: options.pop(name) for name in ("allow", "parameters") if name in options}
    kind = options.pop("format", key.rpartition(".")[2])
    spec = {
        "endpoint": server.url, "bucket": bucket.name, "secretRef": {"name": "store"},
        "key": key, "format": kind, **options,
    }  # fmt: skip
    return fetch_rows({"object": spec}, root, **fetching)


def refused(server: FileServer, bucket: Path, root: Path, key: str, **options: Any) -> RunError:
    with pytest.raises(RunError) as caught:
        get(server, bucket, root, key, **options)
    assert SECRET_KEY not in caught.value.message
    return caught.value


def test_parquet_keeps_types_and_digits(server: FileServer, bucket: Path, tmp_path: Path) -> None:
    moment = datetime(2026, 1, 5, 6, 0, 0, 250000)  # noqa: DTZ001
    table = pa.table(
        {
            "amount": pa.array([Decimal("12345678901234567890.12"), None], pa.decimal128(22, 2)),
            "n": pa.array([1, None], pa.int32()),
            "big": pa.array([2**64 - 1, None], pa.uint64()),
            "ratio": pa.array([0.1, None], pa.float64()),
            "small": pa.array([0.1, None], pa.float32()),
            "day": pa.array([date(2026, 1, 5), None]),
            "at": pa.array([moment, None], pa.timestamp("ns", "UTC")),
            "local": pa.array([moment, None], pa.timestamp("ms")),
            "ok": pa.array([True, None]),
            "code": pa.array(["007", None]).dictionary_encode(),
            "tags": pa.array([[1.5, None], None]),
            "raw": pa.array([b"\x00\xff", None]),
        }
    )
    pq.write_table(table, bucket / "2026-01-05.parquet")
    found = get(server, bucket, tmp_path, "{{ report_date }}.parquet")
    first = dict(zip(found.columns, found.rows[0], strict=True))
    assert first["amount"] == Decimal("12345678901234567890.12")
    assert (first["n"], first["big"]) == (1, 2**64 - 1)
    assert (first["ratio"], first["small"]) == (Decimal("0.1"), Decimal("0.1"))
    assert first["day"] == date(2026, 1, 5)
    assert first["at"].isoformat() == "2026-01-05T07:00:00.250000+01:00"
    assert first["local"] == moment
    assert (first["ok"], first["code"], first["raw"]) == (True, "007", "\\x00ff")
    assert first["tags"] == [Decimal("1.5"), None]
    assert found.rows[1] == (None,) * 12
    assert found.types == (
        ColumnType("numeric", 22, 2), ColumnType("int8"), ColumnType("numeric"),
        ColumnType("float8"), ColumnType("float4"), ColumnType("date"),
        ColumnType("timestamptz"), ColumnType("timestamp"), ColumnType("bool"),
        ColumnType("text"), ColumnType("text"), ColumnType("text"),
    )  # fmt: skip
    columns = [{"name": "n", "type": "text"}, {"name": "day", "type": "date"}]
    again = get(server, bucket, tmp_path, "2026-01-05.parquet", columns=columns)
    assert again.columns[:3] == ("n", "day", "amount")
    assert again.rows[0][:2] == ("1", date(2026, 1, 5))
    assert again.types[2] == ColumnType("numeric", 22, 2)


def test_csv_and_ndjson(server: FileServer, bucket: Path, tmp_path: Path) -> None:
    (bucket / "a.csv").write_text("n,t\n1,\n2,x\n")
    columns = [{"name": "n", "type": "integer"}]
    assert get(server, bucket, tmp_path, "a.csv", columns=columns).rows == [(1, None), (2, "x")]
    (bucket / "a.ndjson").write_text('{"n": 1.10}\n')
    assert get(server, bucket, tmp_path, "a.ndjson").rows == [(Decimal("1.10"),)]
    (bucket / "a.csv.gz").write_bytes(gzip.compress(b"n,t\n1,2\n" * 1))
    assert get(server, bucket, tmp_path, "a.csv.gz", format="csv").rows == [("1", "2")]


def test_a_pattern_reads_all_that_match_in_order(
    server: FileServer, bucket: Path, tmp_path: Path
) -> None:
    (bucket / "day" / "old").mkdir(parents=True)
    for name in ("b", "a", "c"):
        (bucket / "day" / f"2026-01-05-{name}.csv").write_text(f"n\n{name}\n")
    (bucket / "day" / "2026-01-04-x.csv").write_text("n\nx\n")
    (bucket / "day" / "old" / "2026-01-05-y.csv").write_text("n\ny\n")
    key = "day/{{ report_date }}-*.csv"
    assert get(server, bucket, tmp_path, key).rows == [("a",), ("b",), ("c",)]
    assert get(server, bucket, tmp_path, "day/*-0?-c.csv").rows == [("c",)]
    error = refused(server, bucket, tmp_path, key, maxObjects=2)
    assert "more than maxObjects (2)" in error.message
    (bucket / "day" / "2026-01-05-d.csv").write_text("m\nd\n")
    error = refused(server, bucket, tmp_path, key)
    assert "'day/2026-01-05-d.csv': its first line names other columns" in error.message


def test_a_missing_object_is_an_outage_and_a_wrong_bucket_is_not(
    server: FileServer, bucket: Path, tmp_path: Path
) -> None:
    error = refused(server, bucket, tmp_path, "day/{{ report_date }}.csv")
    assert error.reason is Reason.EXTERNAL_SOURCE_UNAVAILABLE
    assert "has no object 'day/2026-01-05.csv'" in error.message
    error = refused(server, bucket, tmp_path, "day/*.csv")
    assert error.reason is Reason.EXTERNAL_SOURCE_UNAVAILABLE
    error = refused(server, Path("no-such-bucket"), tmp_path, "a.csv")
    assert error.reason is Reason.CONFIGURATION_ERROR
    assert "has no bucket no-such-bucket" in error.message
    for change in ({"secretAccessKey": "wrong-wrong-wrong"}, {"accessKeyId": "another-access"}):
        keys = {"accessKeyId": ACCESS_KEY, "secretAccessKey": SECRET_KEY, **change}
        write_secret(tmp_path, "store", **keys)
        error = refused(server, bucket, tmp_path, "a.csv")
        assert error.reason is Reason.CONFIGURATION_ERROR
        assert "Secret store" in error.message


def test_a_store_that_is_down_or_answers_503(
    server: FileServer, bucket: Path, tmp_path: Path
) -> None:
    with http_api() as gone:
        pass
    down = FileServer(gone.url, server.root)
    assert refused(down, bucket, tmp_path, "a.csv").reason is Reason.EXTERNAL_SOURCE_UNAVAILABLE
    with http_api() as api:
        api.default = lambda _: Reply("busy", 503)
        busy = FileServer(api.url, server.root)
        error = refused(busy, bucket, tmp_path, "a.csv")
        assert error.reason is Reason.EXTERNAL_SOURCE_UNAVAILABLE
        assert len(api.requests) == 5
        headers = {"ETag": '"e"', "Last-Modified": "Mon, 05 Jan 2026 06:00:00 GMT"}
        busy_once = iter([Reply("busy", 503)])
        api.default = lambda _: next(busy_once, Reply("a\n1\n", headers=headers))
        assert get(busy, bucket, tmp_path, "a.csv").rows == [("1",)]


def test_files_that_are_cut_short(server: FileServer, bucket: Path, tmp_path: Path) -> None:
    path = bucket / "a.parquet"
    pq.write_table(pa.table({"n": list(range(1000))}), path)
    whole = path.read_bytes()
    for content in (whole[:-1], whole[: len(whole) // 2], whole[:4], b"", b"n\n1\n"):
        path.write_bytes(content)
        error = refused(server, bucket, tmp_path, "a.parquet")
        assert error.reason is Reason.CONFIGURATION_ERROR
        assert "expected a whole Parquet file" in error.message
    damaged = bytearray(whole)
    damaged[20:200] = b"\xff" * 180
    path.write_bytes(bytes(damaged))
    refused(server, bucket, tmp_path, "a.parquet")
    packed = gzip.compress(b"n\n" + b"1\n" * 1000)
    (bucket / "a.csv.gz").write_bytes(packed[:-4])
    assert "cut short" in refused(server, bucket, tmp_path, "a.csv.gz", format="csv").message
    (bucket / "a.ndjson").write_text('{"n": 1}\n{"n": ')
    assert "line 2" in refused(server, bucket, tmp_path, "a.ndjson").message


def test_bounds(server: FileServer, bucket: Path, tmp_path: Path) -> None:
    (bucket / "a.csv").write_text("n\n" + "1\n" * 1000)
    assert "maxBytes" in refused(server, bucket, tmp_path, "a.csv", maxBytes=1024).message
    assert "maxRows" in refused(server, bucket, tmp_path, "a.csv", maxRows=999).message
    assert len(get(server, bucket, tmp_path, "a.csv", maxRows=1000).rows) == 1000
    (bucket / "a.csv.gz").write_bytes(gzip.compress(b"n\n" + b"1\n" * 1_000_000))
    error = refused(server, bucket, tmp_path, "a.csv.gz", format="csv", maxBytes=10_000)
    assert "maxBytes" in error.message
    pq.write_table(pa.table({"n": ["x" * 1000] * 100_000}), bucket / "a.parquet")
    assert (bucket / "a.parquet").stat().st_size < 100_000
    error = refused(server, bucket, tmp_path, "a.parquet", maxBytes=1 << 20)
    assert "maxBytes" in error.message
    assert "maxRows" in refused(server, bucket, tmp_path, "a.parquet", maxRows=10).message


def test_types_that_no_report_can_show(server: FileServer, bucket: Path, tmp_path: Path) -> None:
    nano = pa.array([1], pa.timestamp("ns"))
    pq.write_table(pa.table({"at": nano}), bucket / "a.parquet")
    error = refused(server, bucket, tmp_path, "a.parquet")
    assert "column at has times with more than six decimals" in error.message
    pq.write_table(pa.table({"d": pa.array([1], pa.duration("s"))}), bucket / "b.parquet")
    assert (
        "column d has the type duration" in refused(server, bucket, tmp_path, "b.parquet").message
    )
    pq.write_table(pa.table({"n": [1]}), bucket / "c1.parquet")
    pq.write_table(pa.table({"n": ["1"]}), bucket / "c2.parquet")
    error = refused(server, bucket, tmp_path, "c?.parquet")
    assert "types are other than those of the objects before" in error.message


@pytest.mark.parametrize("value", ["../x", "a/b", "*", "..", "", "a\nb"])
def test_a_value_does_not_become_another_key(
    server: FileServer, bucket: Path, tmp_path: Path, value: str
) -> None:
    error = refused(server, bucket, tmp_path, "{{ parameters.p }}.csv", parameters={"p": value})
    assert error.reason is Reason.CONFIGURATION_ERROR
    assert error.message.startswith("spec.report.sources[rows].object.key: ")


def test_an_address_is_refused_unless_the_operator_allows_it(
    server: FileServer, bucket: Path, tmp_path: Path
) -> None:
    error = refused(server, bucket, tmp_path, "a.csv", allow=())
    assert error.reason is Reason.CONFIGURATION_ERROR
    assert "config.runner.egress.allow" in error.message


def test_a_report_over_objects_is_made_whole(
    server: FileServer, bucket: Path, tmp_path: Path
) -> None:
    """As its pod runs it, with pages: what reads Parquet leaves its process able to fork."""
    from report_runner.contract import pod as contract
    from tests.support.runner import Pod

    pq.write_table(
        pa.table({"isin": ["A", "B"], "amount": [Decimal("1.10"), Decimal("2.20")]}),
        bucket / "a.parquet",
    )
    pod = Pod(tmp_path / "pod")
    write_secret(pod.secrets, "store", accessKeyId=ACCESS_KEY, secretAccessKey=SECRET_KEY)
    source = {
        "endpoint": server.url, "bucket": bucket.name, "secretRef": {"name": "store"},
        "key": "*.parquet", "format": "parquet",
    }  # fmt: skip
    pod.define("", sources=[{"name": "positions", "object": source}])
    code, result, log = pod.run(**{contract.ENV_EGRESS_ALLOW: "127.0.0.1"})
    assert code == 0, log
    assert result.rows == {"positions": 2}
    assert pod.output("csv").read_text("utf-8-sig").splitlines() == [
        "isin,amount", "A,1.10", "B,2.20"
    ]  # fmt: skip
    assert pod.output("pdf").stat().st_size > 1000
    code, result, _ = pod.run(**{contract.ENV_EGRESS_ALLOW: ""})
    assert code == 0  # the files of the first attempt are used
