"""The record of how files were made."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from mmxdistill.converters.runs import RunOptions
from mmxdistill.converters.settings import FolderSettings, read_settings

ONE, TWO = dict(unit=1.0), dict(unit=2.0)
ONCE, AGAIN = RunOptions(), RunOptions(overwrite=True)


class Converter:
    """Writes what it is told to."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def files(self, names: Iterable[str]) -> list[Path]:
        return [self.out / f'{name}.png' for name in names]

    def __call__(
        self,
        settings: dict,
        names: str,
        run: RunOptions = ONCE,
        failing: str = '',
        killed: bool = False,
    ) -> None:
        record = FolderSettings(self.out, settings, ['.png'])
        record.check(run)
        record.begin(self.files(names))
        for path in self.files(set(names) - set(failing)):
            if run.overwrite or not path.exists():
                path.write_text(str(settings))
            if killed:
                raise KeyboardInterrupt
        record.end(self.files(set(names) - set(failing)))

    def found(self) -> dict[str, str]:
        return {path.stem: path.read_text() for path in self.out.glob('*.png')}


@pytest.fixture
def convert(tmp_path: Path) -> Converter:
    return Converter(tmp_path / 'out')


def test_same_settings(convert: Converter) -> None:
    convert(ONE, 'ab')
    convert(ONE, 'abc', RunOptions(shard=(1, 2), overwrite=True))
    assert convert.found() == dict.fromkeys('abc', str(ONE))
    assert read_settings(convert.out / 'settings.json') == ONE


def test_other_settings(convert: Converter) -> None:
    convert(ONE, 'ab')
    with pytest.raises(
        ValueError, match=r"'unit': 1\.0.*'unit': 2\.0.*--over"
    ):
        convert(TWO, 'ab')
    convert(TWO, 'abc', AGAIN)
    assert convert.found() == dict.fromkeys('abc', str(TWO))
    assert read_settings(convert.out / 'settings.json') == TWO


def test_part_of_the_files_is_not_overwritten(convert: Converter) -> None:
    convert(ONE, 'abc')
    with pytest.raises(
        ValueError, match=r'1 files of other settings .*c\.png'
    ):
        convert(TWO, 'ab', AGAIN)
    with pytest.raises(ValueError, match='on a shard would make a mixture'):
        convert(TWO, 'abc', RunOptions(shard=(1, 2), overwrite=True))
    assert convert.found() == dict.fromkeys('abc', str(ONE))
    assert read_settings(convert.out / 'settings.json') == ONE


def test_interrupted_overwriting_is_recorded(convert: Converter) -> None:
    convert(ONE, 'abc')
    with pytest.raises(KeyboardInterrupt):
        convert(TWO, 'abc', AGAIN, killed=True)
    assert len(set(convert.found().values())) == 2  # the mixture
    for settings in (ONE, TWO):
        with pytest.raises(ValueError, match='when that was interrupted'):
            convert(settings, 'abc')
    convert(TWO, 'abc', AGAIN)
    assert convert.found() == dict.fromkeys('abc', str(TWO))
    convert(TWO, 'abc')


def test_what_fails_does_not_stay_of_other_settings(
    convert: Converter,
) -> None:
    convert(ONE, 'abc')
    convert(TWO, 'abc', AGAIN, failing='b')
    assert convert.found() == dict.fromkeys('ac', str(TWO))
    convert(TWO, 'abc')
    assert convert.found() == dict.fromkeys('abc', str(TWO))


@pytest.mark.parametrize('content', ['', '{"unit"', '[1]', '\udce4'])
def test_damaged_record(convert: Converter, content: str) -> None:
    convert(ONE, 'ab')
    file = convert.out / 'settings.json'
    file.write_bytes(content.encode(errors='surrogateescape'))
    with pytest.raises(ValueError, match=r'settings\.json. is damaged'):
        convert(ONE, 'ab')
    convert(TWO, 'ab', AGAIN)
    assert convert.found() == dict.fromkeys('ab', str(TWO))


def test_files_without_a_record(convert: Converter) -> None:
    convert(ONE, 'ab')
    (convert.out / 'settings.json').unlink()
    with pytest.raises(ValueError, match=r'no settings\.json that says how'):
        convert(ONE, 'ab')
    convert(ONE, 'ab', AGAIN)
    convert(ONE, 'ab')
