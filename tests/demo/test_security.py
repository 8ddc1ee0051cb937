"""The demo's security gate finds what it says it looks for."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from manual_registry.demo.security import LARGEST_MEMBER, Findings, check_model_file


class _Exploit:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("this must never run",)


def _sound(path: Path, **more: object) -> Path:
    arrays: dict[str, object] = {name: np.ones(3) for name in ("intercept", "weights", "center", "scale")}
    np.savez(path, **(arrays | more))  # type: ignore[arg-type]
    return path


def test_sound_file_is_clean(tmp_path: Path) -> None:
    findings = check_model_file(_sound(tmp_path / "model.npz"))
    assert findings == Findings() and findings.clean


def test_object_array_is_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _sound(tmp_path / "model.npz", weights=np.array([_Exploit()], dtype=object))
    assert check_model_file(path).code_carrying_members == 1
    assert capsys.readouterr().out == ""


def test_text_array_is_refused(tmp_path: Path) -> None:
    assert check_model_file(_sound(tmp_path / "model.npz", scale=np.array(["a"]))).code_carrying_members == 1


def test_pickle_under_another_name_is_code(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    path.write_bytes(pickle.dumps(_Exploit()))
    assert check_model_file(path) == Findings(code_carrying_members=1)


def test_empty_file_is_code(tmp_path: Path) -> None:
    (tmp_path / "model.npz").touch()
    assert not check_model_file(tmp_path / "model.npz").clean


def test_script_before_the_zip_is_code(tmp_path: Path) -> None:
    path = _sound(tmp_path / "model.npz")
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    assert check_model_file(path).code_carrying_members == 1


def test_script_beside_the_arrays(tmp_path: Path) -> None:
    path = _sound(tmp_path / "model.npz")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("install.py", "print('hello')")
    findings = check_model_file(path)
    assert (findings.code_carrying_members, findings.unexpected_members) == (1, 1)


def test_pickle_behind_the_numbers_of_a_member(tmp_path: Path) -> None:
    source, path = _sound(tmp_path / "sound.npz"), tmp_path / "model.npz"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name) + (pickle.dumps(_Exploit()) if name == "scale.npy" else b""))
    assert check_model_file(path).code_carrying_members == 1


def test_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    np.savez_compressed(path, intercept=np.zeros(LARGEST_MEMBER))
    findings = check_model_file(path)
    assert (findings.oversized_members, findings.missing_members) == (1, 3)


def test_extra_array_and_nan(tmp_path: Path) -> None:
    path = _sound(tmp_path / "model.npz", weights=np.array([1.0, np.nan]), more=np.ones(2))
    findings = check_model_file(path)
    assert (findings.unexpected_members, findings.non_finite_arrays) == (1, 1)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_doubled_member_is_unexpected(tmp_path: Path) -> None:
    path = _sound(tmp_path / "model.npz")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("scale.npy", archive.read("scale.npy"))
    assert check_model_file(path).unexpected_members == 1
