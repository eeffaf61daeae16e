"""Who owns a folder of features."""

import json

import pytest

from mmxdistill.models.detectors import cache_origin
from mmxdistill.models.detectors.cache_origin import claim

MADE = dict(dtype='float16', loading=[1, None], probe={})


def other(**kwargs):
    return {**MADE, **kwargs}


def test_the_same_owner(tmp_path):
    assert claim(tmp_path, MADE, False) == claim(tmp_path, MADE, True)
    assert claim(tmp_path, MADE, False) != claim(tmp_path / 'b', MADE, False)


def test_each_owner_is_another(tmp_path):
    first = claim(tmp_path, MADE, False)
    with pytest.raises(ValueError, match='dtype is "float16" there and "int'):
        claim(tmp_path, other(dtype='int8'), False)
    claim(tmp_path, other(dtype='int8'), True)
    again = claim(tmp_path, MADE, True)
    assert again != first


@pytest.mark.parametrize(
    ('loading', 'message'),
    [
        ([1], r'loading\.1 is null there and missing here'),
        ([1, []], r'loading\.1 is null there and \[\] here'),
        ([1, float('nan')], r'loading\.1 is null there and NaN here'),
    ],
)
def test_all_settings_count(tmp_path, loading, message):
    claim(tmp_path, MADE, False)
    with pytest.raises(ValueError, match=message):
        claim(tmp_path, other(loading=loading), False)
    # It is itself, also if NaN is among the settings.
    claim(tmp_path, other(loading=loading), True)
    claim(tmp_path, other(loading=loading), False)


def test_two_begin_at_the_same_moment(tmp_path, monkeypatch):
    """Both see an empty folder; the second to write takes the first's."""
    read, seen = cache_origin._read, []

    def slow(file):
        seen.append(file)
        return None if len(seen) == 1 else read(file)

    first = claim(tmp_path, MADE, False)
    monkeypatch.setattr(cache_origin, '_read', slow)
    assert claim(tmp_path, MADE, False) == first
    assert len(seen) > 1


@pytest.mark.parametrize('content', ['{', '[]'])
def test_nobody_waits_for_a_process_that_failed(
    tmp_path, monkeypatch, content
):
    met = []
    monkeypatch.setattr(cache_origin, 'barrier', lambda: met.append(1))
    (tmp_path / 'store.json').write_text(content)
    with pytest.raises(ValueError, match='damaged'):
        claim(tmp_path, MADE, False)
    assert met == [1]


def test_folder_of_an_older_version(tmp_path):
    file = tmp_path / 'store.json'
    file.write_text(json.dumps(dict(format=1, **MADE)))
    with pytest.raises(ValueError, match='format is 1 there and 2 here'):
        claim(tmp_path, MADE, False)
    claim(tmp_path, MADE, True)
