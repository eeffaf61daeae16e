from pathlib import Path

import pytest

from mmxdistill.datasets.lists import read_list, write_list


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / 'list.txt'


ROWS = [
    [['a/1'], ['a/2']],
    [['cam 2/000001'], ['cam/000001']],
    [['a.jpg', 'b 1.png'], ['a,b.jpg', 'c.png']],
    [['#1.jpg', 'x'], ['say "hi".jpg', 'y'], ["it's", 'z']],
    [['tab\there', ''], ['ü/日本.png', '1']],
    [['"'], ['a  b']],
]


@pytest.mark.parametrize('rows', ROWS)
def test_what_is_written_is_read(file: Path, rows: list) -> None:
    write_list(file, rows, ['made by nobody', 'two\nlines'])
    assert read_list(file) == rows


def test_plain_names_are_written_plainly(file: Path) -> None:
    write_list(file, ['a/1', 'a/2'], ['left out: a/3, a 4'])
    assert file.read_text() == '# left out: a/3, a 4\na/1\na/2\n'


@pytest.mark.parametrize('name', [' a', 'a\n', 'a\nb', 'a\r', '\udce4.jpg'])
def test_names_that_no_list_can_hold(file: Path, name: str) -> None:
    with pytest.raises(ValueError, match='rename it'):
        write_list(file, [name])
    assert not file.exists()


@pytest.mark.parametrize(
    ('text', 'rows'),
    [
        ('a.jpg b.png\n  a2.jpg    b2.png  \n', 2),
        ('a.jpg,b.png\r\na2.jpg, b2.png\r\n', 2),
        ('a.jpg\tb.png\n# comment\n\n   # another\na2.jpg\tb2.png', 2),
        ('"a.jpg" b.png\na2.jpg "b2.png"\n', 2),
    ],
)
def test_what_people_have(file: Path, text: str, rows: int) -> None:
    file.write_text(text)
    assert read_list(file) == [['a.jpg', 'b.png'], ['a2.jpg', 'b2.png']]


def test_blanks_in_names(file: Path) -> None:
    file.write_text('cam 2.jpg\tx 1.png\ncam.jpg\tx.png\n')
    assert read_list(file) == [['cam 2.jpg', 'x 1.png'], ['cam.jpg', 'x.png']]
    file.write_text('cam 2.jpg, x 1.png\n')
    assert read_list(file) == [['cam 2.jpg', 'x 1.png']]
    file.write_text('"cam 2.jpg"\n')
    assert read_list(file) == [['cam 2.jpg']]


def test_columns_that_differ_are_refused(file: Path) -> None:
    file.write_text('cam.jpg\n\ncam 2.jpg\n')
    with pytest.raises(ValueError, match=r'list\.txt.* line 3 has 2 columns'):
        read_list(file)


@pytest.mark.parametrize('text', ['a "b\n', '"a"b c\n', f'"{"a" * 200_000}"'])
def test_damaged(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(ValueError, match=r'list\.txt.* line 1: '):
        read_list(file)


@pytest.mark.parametrize(
    'encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-16-be']
)
def test_encodings(file: Path, encoding: str) -> None:
    text = 'straße/1.jpg x\n'
    if encoding == 'utf-16-be':
        text = '\ufeff' + text
    file.write_bytes(text.encode(encoding))
    assert read_list(file) == [['straße/1.jpg', 'x']]


def test_latin_1_is_refused(file: Path) -> None:
    file.write_bytes('a/1.jpg\nstraße/1.jpg\n'.encode('latin-1'))
    with pytest.raises(
        ValueError, match=r"list\.txt' line 2 is not UTF-8.*iconv -f LATIN1"
    ):
        read_list(file)


def test_no_text(file: Path) -> None:
    file.write_bytes('a.jpg'.encode('utf-16-le'))
    with pytest.raises(ValueError, match='UTF-16 without its mark'):
        read_list(file)
    with pytest.raises(FileNotFoundError, match=r'gone\.txt'):
        read_list(file.with_name('gone.txt'))
