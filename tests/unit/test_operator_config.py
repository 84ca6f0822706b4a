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
    # Without a limit a run could fill its node's disk, or take all its memory.
    assert config.runner.default_resources["limits"] == {
        "memory": "768Mi",
        "ephemeral-storage": "512Mi",
    }
    assert config.admission.max_active == 20
    assert config.admission.max_active_per_tier == {}
    assert config.watched == ("reports",)
    limits = config.admission_limits()
    assert (limits.overall, limits.places_of("a"), limits.of("a").highest_tier) == (
        20, 20, "critical",
    )  # fmt: skip
    assert config.history.keep_outcomes >= config.history.keep_succeeded_jobs


def test_everything_can_be_set(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """
        runner:
          image: 'runner:1'
          imagePullPolicy: Never
          imagePullSecrets: [pull]
          outputClaim: out
          podLabels: {example.com/cost-centre: "7"}
          podAnnotations: {cluster-autoscaler.kubernetes.io/safe-to-evict: "false"}
          priorityClassName: reports
          nodeSelector: {pool: reports}
          tolerations: [{key: reports, operator: Exists}]
          arbitraryUser: true
        admission: {maxActive: 3, maxActivePerTier: {bulk: 1}}
        history: {keepSucceededJobs: 0, keepFailedJobs: 1, keepOutcomes: 7}
        allowedSecrets: [mail, 'db-*']
        startupDeadlineSeconds: 30
        watchAllNamespaces: true
        """,
    )
    assert config.runner.image_pull_policy == "Never"
    settings = config.runner.pod_settings()
    assert list(settings.image_pull_secrets) == ["pull"]
    assert settings.labels == {"example.com/cost-centre": "7"}
    assert settings.annotations == {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
    assert settings.priority_class_name == "reports"
    assert settings.node_selector == {"pool": "reports"}
    assert settings.tolerations == [{"key": "reports", "operator": "Exists"}]
    assert settings.arbitrary_user is True
    assert config.admission.max_active_per_tier == {"bulk": 1}
    assert (config.history.keep_outcomes, config.startup_deadline_seconds) == (7, 30)
    assert config.secret_allowed("mail")
    assert config.secret_allowed("db-reports")
    assert not config.secret_allowed("mailer")
    assert not config.secret_allowed("DB-reports")
    assert config.watched == (None,)


@pytest.mark.parametrize(
    ("text", "a", "b"),
    [
        ("admission: {maxActive: 5}", (3, "critical", "high"), (3, "critical", "high")),
        ("watchNamespaces: [a]", (20, "critical", "high"), (20, "critical", "high")),
        ("watchNamespaces: [a, b]", (10, "critical", "high"), (10, "critical", "high")),
        (
            "admission: {maxActive: 4, maxActivePerNamespace: 9}",
            (4, "critical", "high"),
            (4, "critical", "high"),
        ),
        (
            "admission: {highestTier: bulk, highestPriority: normal, namespaces: "
            "{a: {maxActive: 15, highestPriority: high}}}",
            (15, "bulk", "high"),
            (10, "bulk", "normal"),
        ),
    ],
)
def test_what_a_namespace_may_have(tmp_path: Path, text: str, a: object, b: object) -> None:
    watched = "" if "watchNamespaces" in text else "\nwatchAllNamespaces: true"
    limits = load(tmp_path, f"runner: {{image: 'runner:1'}}\n{text}{watched}").admission_limits()

    def of(name: str) -> object:
        policy = limits.of(name)
        return limits.places_of(name), policy.highest_tier, policy.highest_priority

    assert (of("a"), of("b")) == (a, b)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "file"),
        ("runner: 3", "runner"),
        ("runner: {}", "runner.image"),
        ("runner: {image: ''}", "runner.image"),
        ("runner: {image: a, imagePulPolicy: Never}", "runner.imagePulPolicy"),
        *(
            (f"runner: {{image: a, {text}}}", f"runner.{field}")
            for text, field in (
                ("imagePullPolicy: Sometimes", "imagePullPolicy"),
                ("imagePullSecrets: [A_B]", "imagePullSecrets.0"),
                ("podLabels: {reports.adaf.io/schedule-uid: x}", "podLabels"),
                ("podLabels: {batch.kubernetes.io/job-name: x}", "podLabels"),
                ("podLabels: {app.kubernetes.io/managed-by: x}", "podLabels"),
                ("podLabels: {a: 'no label'}", "podLabels.a"),
                ("podAnnotations: {reports.adaf.io/slot: x}", "podAnnotations"),
                ("podAnnotations: {'a b': x}", "podAnnotations"),
                ("nodeSelector: {a: [b]}", "nodeSelector.a"),
                ("tolerations: [{operator: Equal}]", "tolerations.0"),
                ("arbitraryUser: maybe", "arbitraryUser"),
                ("scratchSizeLimit: much", "scratchSizeLimit"),
                ("egress: {allow: [10.0.0.0/33]}", "egress.allow.0"),
                ("egress: {allow: ['http://a.svc']}", "egress.allow.0"),
                ("egress: {allow: ['a.svc,127.0.0.1']}", "egress.allow.0"),
                ("defaultResources: {limits: {memory: lots}}", "defaultResources.limits.memory"),
            )
        ),
        ("runner: {image: a, defaultResources: {limit: {}}}", "defaultResources.limit"),
        (
            "runner: {image: a, defaultResources: {requests: {cpu: 2}, limits: {cpu: 1}}}",
            "defaultResources.requests.cpu",
        ),
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
        (
            "runner: {image: a}\nadmission: {namespaces: {x: {highestTier: gold}}}",
            "admission.namespaces.x.highestTier",
        ),
        (
            "runner: {image: a}\nadmission: {maxActivePerNamespace: 0}",
            "admission.maxActivePerNamespace",
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
