"""jobs/kubernetes: what its manifests ask for, and what each exit code leads to under them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pages import code, table
from paths import ROOT

from batchdigits import __version__
from batchdigits.errors import PRECEDENCE
from batchdigits.files.names import Shard
from batchdigits.predict import parser

FOLDER = ROOT / "jobs" / "kubernetes"
PAGE = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
KILLED = 137  # out of memory, or a node that went away
INDEX = "$(JOB_COMPLETION_INDEX)"


def manifest(name: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return read


JOBS = {
    "cronjob": manifest("cronjob")["spec"]["jobTemplate"]["spec"],
    "indexed-job": manifest("indexed-job")["spec"],
}


def pod(job: str) -> dict[str, Any]:
    spec: dict[str, Any] = JOBS[job]["template"]["spec"]
    return spec


def container(job: str) -> dict[str, Any]:
    (only,) = pod(job)["containers"]
    return dict(only)


def action(job: str, exit_code: int, *, disrupted: bool = False) -> str:
    """What Kubernetes does about a pod that ended so: the first rule that matches, else Count."""
    for rule in JOBS[job]["podFailurePolicy"]["rules"]:
        if exit_codes := rule.get("onExitCodes"):
            assert exit_codes["operator"] in ("In", "NotIn")
            assert exit_codes["containerName"] == container(job)["name"]
            inside = exit_code in exit_codes["values"]
            if exit_code and inside == (exit_codes["operator"] == "In"):
                return str(rule["action"])
        conditions = [(each["type"], each["status"]) for each in rule.get("onPodConditions", [])]
        if disrupted and ("DisruptionTarget", "True") in conditions:
            return str(rule["action"])
    return "Count"


WORDS = {"Count": "again", "FailJob": "fails the job", "FailIndex": "fails the shard"}


def test_the_page_has_what_every_exit_code_leads_to() -> None:
    rows = {int(code(row[0])): row[1:3] for row in table(PAGE, "exit code")}
    assert sorted(rows) == sorted({*PRECEDENCE, KILLED})
    assert rows.pop(0) == ["done", "done"]
    for exit_code, documented in rows.items():
        assert documented == [WORDS[action(job, exit_code)] for job in JOBS], exit_code


def test_what_may_pass_is_tried_again_and_what_somebody_must_mend_is_not() -> None:
    """In both jobs 74, 75 and a kill are tried again; wrong data and wrong setups fail."""
    for job in JOBS:
        again = {code for code in (*PRECEDENCE, KILLED) if code and action(job, code) == "Count"}
        assert again == {70, 74, 75, 129, 130, 143, KILLED}
        assert action(job, 143, disrupted=True) == "Ignore"
        assert {action(job, exit_code) for exit_code in (69, 78)} == {"FailJob"}
    assert action("indexed-job", 65) == "FailIndex"


def test_a_policy_needs_pods_that_are_not_restarted_and_a_limit_for_each_shard() -> None:
    assert {pod(job)["restartPolicy"] for job in JOBS} == {"Never"}
    assert JOBS["cronjob"]["backoffLimit"] == 3
    assert JOBS["indexed-job"]["completionMode"] == "Indexed"
    assert JOBS["indexed-job"]["backoffLimitPerIndex"] == 3


def test_shards_are_as_many_as_pods() -> None:
    job = JOBS["indexed-job"]
    (flag,) = (word for word in container("indexed-job")["args"] if word.startswith("--shard="))
    for index in range(job["completions"]):
        shard = Shard.parse(flag.removeprefix("--shard=").replace(INDEX, str(index)))
        assert (shard.index, shard.count) == (index, job["completions"])
    assert job["parallelism"] == job["completions"]


@pytest.mark.parametrize("job", JOBS)
def test_the_command_has_flags_that_predict_knows(job: str) -> None:
    words = [word.replace(INDEX, "3") for word in container(job)["args"]]
    assert words.pop(0) == "predict"
    given = parser().parse_args(words)
    assert given.inputs == ["/srv/batchdigits/incoming"]
    assert given.ok == ("rejects", "drift")
    assert (given.allow_empty, given.on_other) == (True, "keep")


def test_both_jobs_run_the_same_pod() -> None:
    first, second = (JOBS[job]["template"] for job in JOBS)
    args = second["spec"]["containers"][0]["args"]
    args[:] = [word for word in args if not word.startswith("--shard=")]
    assert first == second


def test_the_pod_may_write_only_where_outputs_go(tmp_path: Path) -> None:
    for job in JOBS:
        security = container(job)["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert pod(job)["securityContext"]["runAsNonRoot"] is True
        mounts = container(job)["volumeMounts"]
        assert [mount["mountPath"] for mount in mounts if not mount.get("readOnly")] == [
            "/srv/batchdigits/scored",
            "/tmp",  # noqa: S108  # of the pod alone
        ]


def test_the_image_is_of_this_version_and_of_the_user_that_the_pod_has() -> None:
    text = (FOLDER / "Containerfile").read_text(encoding="utf-8")
    (user,) = re.findall(r"^USER (\d+):(\d+)$", text, re.MULTILINE)
    for job in JOBS:
        security = pod(job)["securityContext"]
        assert (str(security["runAsUser"]), str(security["runAsGroup"])) == user
        assert container(job)["image"] == f"images.example.com/batchdigits:{__version__}"
