"""The operator's configuration: what is wrong is named."""

from pathlib import Path

import pytest

from report_operator.config import ConfigError, load_config


def load(folder: Path, text: str | bytes):
    path = folder / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_config(path)


def test_defaults(tmp_path: Path) -> None:
    config = load(tmp_path, "runner: {image: 'runner:1'}\nwatchNamespaces: [reports]")
    assert config.runner.image == "runner:1"
    assert config.runner.default_resources["limits"] == {"memory": "768Mi"}
    assert config.admission.max_active == 20
    assert config.admission.max_active_per_tier == {}
    assert config.watched == ("reports",)
    assert config.history.keep_outcomes >= config.history.keep_succeeded_jobs


def test_everything_can_be_set(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """
        runner: {image: 'runner:1', imagePullPolicy: Never, outputClaim: out}
        admission: {maxActive: 3, maxActivePerTier: {bulk: 1}}
        history: {keepSucceededJobs: 0, keepFailedJobs: 1, keepOutcomes: 7}
        allowedSecrets: [mail, 'db-*']
        startupDeadlineSeconds: 30
        watchAllNamespaces: true
        """,
    )
    assert config.runner.image_pull_policy == "Never"
    assert config.admission.max_active_per_tier == {"bulk": 1}
    assert (config.history.keep_outcomes, config.startup_deadline_seconds) == (7, 30)
    assert config.secret_allowed("mail")
    assert config.secret_allowed("db-reports")
    assert not config.secret_allowed("mailer")
    assert not config.secret_allowed("DB-reports")
    assert config.watched == (None,)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "file"),
        ("runner: 3", "runner"),
        ("runner: {}", "runner.image"),
        ("runner: {image: ''}", "runner.image"),
        ("runner: {image: a, imagePulPolicy: Never}", "runner.imagePulPolicy"),
        ("runner: {image: a}\nadmission: {maxActive: 0}", "admission.maxActive"),
        ("runner: {image: a}\nadmission: {maxActive: many}", "admission.maxActive"),
        (
            "runner: {image: a}\nadmission: {maxActivePerTier: {bulk: few}}",
            "admission.maxActivePerTier.bulk",
        ),
        # a tier that may never run, and a tier that there is not
        (
            "runner: {image: a}\nadmission: {maxActivePerTier: {bulk: -1}}",
            "admission.maxActivePerTier.bulk",
        ),
        (
            "runner: {image: a}\nadmission: {maxActivePerTier: {bluk: 1}}",
            "admission.maxActivePerTier",
        ),
        ("runner: {image: a}\nhistory: {keepOutcomes: 51}", "history.keepOutcomes"),
        ("runner: {image: a}\nqueueTimeoutSeconds: 1", "queueTimeoutSeconds"),
        ("runner: {image: a}\nallowedSecrets: x", "allowedSecrets"),
        ("runner: {image: a}\ncolour: red", "colour"),
        ("runner: {image: a}\nmetricsUrl: here", "metricsUrl"),
        # what would watch nothing, and what contradicts itself
        ("runner: {image: a}", "watchNamespaces: name the namespaces"),
        ("runner: {image: a}\nwatchNamespaces: []", "watchAllNamespaces: true"),
        (
            "runner: {image: a}\nwatchNamespaces: [a]\nwatchAllNamespaces: true",
            "exactly one of the two",
        ),
        ("runner: [", "line 1"),
        (b"runner: {image: '\xff\xfe'}", "config.yaml"),
    ],
)
def test_field_that_is_wrong_is_named(tmp_path: Path, text: str | bytes, field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert field in str(caught.value)
    assert "config.yaml" in str(caught.value)


def test_all_wrong_fields_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"runner\.image.*workers"):
        load(tmp_path, "runner: {}\nworkers: 0")


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        load_config(tmp_path / "nowhere.yaml")
