"""What `make images` runs."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from mirsal_deploy.images import Revision, build_command, main, read_size, size_fault
from mirsal_deploy.places import ROOT, version_of

BUILT = Revision("abc", "17")


def test_the_image_is_the_one_that_is_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIRSAL_BASE_IMAGE", raising=False)
    command = build_command(["docker", "build"], "email-worker", BUILT)
    image = f"mirsal/email-worker:{version_of(ROOT, 'email-worker')}"
    assert command == [
        *("docker", "build", "--build-arg", "REVISION=abc"),
        *("--build-arg", "SOURCE_DATE_EPOCH=17"),
        *("-f", "services/email-worker/Dockerfile", "-t", image, "."),
    ]


def test_another_base_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRSAL_BASE_IMAGE", "localhost/python:3.11")
    assert "BASE=localhost/python:3.11" in build_command(["docker", "build"], "gateway", BUILT)


def test_the_time_of_the_commit_is_the_images() -> None:
    command = build_command(["/usr/bin/buildah", "build"], "gateway", BUILT)
    assert command[:4] == ["/usr/bin/buildah", "build", "--timestamp", "17"]


def test_an_image_may_not_be_big() -> None:
    said = '[{"names": ["localhost/mirsal/gateway:0.1.0"], "size": "225 MB"}]'
    assert read_size(["buildah", "build"], said) == 225
    assert read_size(["buildah"], '[{"size": "1.5 GB"}]') == 1500
    assert read_size(["/usr/bin/docker", "build"], "225000000\n") == 225
    assert size_fault("gateway", 249) is None
    said = f"mirsal/gateway:{version_of(ROOT, 'gateway')} has 251 MB, and may have 250"
    assert size_fault("gateway", 251) == said
    assert size_fault("code-runner", 291) is None
    assert size_fault("code-runner", 341) is not None


def load_script(name: str) -> Any:
    """A script that images run, which is in no package."""
    spec = spec_from_file_location(name, ROOT / "deploy" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_two_builds_of_a_commit_hold_the_same(tmp_path: Path) -> None:
    script = load_script("settle_packages")
    for number in ("1", "2"):
        installed = tmp_path / number / "lib/python3.11/site-packages/mirsal_x-0.1.0.dist-info"
        installed.mkdir(parents=True)
        installed.joinpath("uv_cache.json").write_text(f'{{"timestamp": {number}}}')
        names = ("WHEEL", "uv_cache.json", "uv_build.json")
        hashes = ("sha256=same", f"sha256={number}", "sha256=same")
        lines = [
            f"{installed.name}/{name},{digest},2\n"
            for name, digest in zip(names, hashes, strict=True)
        ]
        installed.joinpath("RECORD").write_text("".join([*lines, f"{installed.name}/RECORD,,\n"]))
        parts = {
            "serialNumber": f"urn:uuid:{number}",
            "metadata": {"timestamp": number, "tools": []},
            "components": [{"name": "x", "version": "1"}],
        }
        (tmp_path / number / "sbom.cdx.json").write_text(json.dumps(parts))
        script.settle(tmp_path / number)
    first, second = (
        {
            path.relative_to(tmp_path / number): path.read_bytes()
            for path in (tmp_path / number).rglob("*")
            if path.is_file()
        }
        for number in ("1", "2")
    )
    assert first == second
    assert {path.name for path in first} == {"RECORD", "sbom.cdx.json"}
    told = json.loads(first[Path("sbom.cdx.json")])
    assert UUID(told["serialNumber"].removeprefix("urn:uuid:")).version == 5
    assert told["components"] == parts["components"]


LICENCES = {
    "new": (
        "License-Expression: MIT OR Apache-2.0\nClassifier: License :: Other\n",
        "MIT OR Apache-2.0",
    ),
    "classified": (
        "License: long text\nClassifier: Topic :: Text\n"
        "Classifier: License :: OSI Approved :: MIT License\n",
        "MIT License",
    ),
    "old": ("License: BSD\n        and all of its text\n", "BSD"),
    "silent": ("", "?"),
    "mirsal-x": ("", "ours"),
}


def test_an_image_tells_the_licence_of_each_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = load_script("list_licences")
    parts = [{"name": name, "version": "1"} for name in LICENCES]
    for name, (said, _) in LICENCES.items():
        installed = tmp_path / f"lib/python3.11/site-packages/{name.replace('-', '_')}-1.dist-info"
        installed.mkdir(parents=True)
        head = f"Metadata-Version: 2.4\nName: {name}\nVersion: 1\n"
        installed.joinpath("METADATA").write_text(head + said)
    elsewhere = [{"name": "colorama", "version": "1"}, {"name": "old", "version": "2"}]
    own = {"name": "mirsal-gateway", "version": "1"}
    parts_file = tmp_path / "sbom.cdx.json"
    parts_file.write_text(
        json.dumps({"metadata": {"component": own}, "components": parts + elsewhere})
    )
    monkeypatch.setattr(script.sys, "prefix", str(tmp_path))
    assert script.main() == 1, "one says nothing"
    assert capsys.readouterr().out.splitlines() == [
        "mirsal-gateway\t1\tours",
        *(f"{name}\t1\t{licence}" for name, (_, licence) in LICENCES.items()),
        "colorama\t1\tnot in this image",
        "old\t2\tnot in this image",
    ]
    told = {"metadata": {"component": own}, "components": parts[:3]}
    parts_file.write_text(json.dumps(told))
    assert script.main() == 0


def test_a_wrong_name_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["e-mail"]) == 2
    assert "no such image: e-mail" in capsys.readouterr().err
