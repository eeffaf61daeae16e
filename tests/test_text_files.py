import pytest

from mmxdistill.text_files import read_json


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
def test_json_with_a_mark(tmp_path, encoding):
    path = tmp_path / 'a.json'
    path.write_text('{"ü": [1]}', encoding=encoding)
    assert read_json(path) == {'ü': [1]}


@pytest.mark.parametrize(
    'content', [b'{"a"', b'\xff', b'', b'[' * 100_000, '"ü"'.encode('latin-1')]
)
def test_json_that_is_none_is_named(tmp_path, content):
    path = tmp_path / 'a.json'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'a\.json'):
        read_json(path)
    with pytest.raises(FileNotFoundError, match=r'b\.json'):
        read_json(tmp_path / 'b.json')
