"""Which files of tar shards the index finds."""

import io
import os
import tarfile

import pytest
from mmengine.fileio import get

from mmxdistill.datasets.shards import ShardIndex, write_index


def tar_file(folder, members, **kwargs):
    """A shard: name -> content, or dict of what its header says."""
    with tarfile.open(folder / 'a.tar', 'w', **kwargs) as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            else:
                for key, value in content.items():
                    setattr(member, key, value)
                tar.addfile(member)
    return folder / 'a.tar'


def contents(folder):
    """Of each sample, by modality, as read through the index."""
    write_index(folder)
    return [
        {name: get(path) for name, path in sample.items()}
        for sample in ShardIndex(folder)
    ]


def hard(name):
    return dict(type=tarfile.LNKTYPE, linkname=name)


def symbolic(name):
    return dict(type=tarfile.SYMTYPE, linkname=name)


def test_links_are_the_files_that_they_lead_to(tmp_path):
    """As tar stores further names of a file."""
    tar_file(
        tmp_path,
        {
            'folder': dict(type=tarfile.DIRTYPE),
            '0.x.png': b'one',
            '0.y.png': symbolic('./2.x.png'),
            '1.x.png': hard('0.x.png'),
            '1.y.png': hard('0.y.png'),
            '2.x.png': b'another',
            '2.y.png': symbolic('1.x.png'),
        },
    )
    assert contents(tmp_path) == [
        dict(x=b'one', y=b'another'),
        dict(x=b'one', y=b'another'),
        dict(x=b'another', y=b'one'),
    ]
    # Of two files of a name, the one that was there.
    with tarfile.open(tmp_path / 'a.tar', 'a') as tar:
        link = tarfile.TarInfo('0.y.png')
        link.type, link.linkname = tarfile.LNKTYPE, '0.x.png'
        tar.addfile(link)
        later = tarfile.TarInfo('0.x.png')
        later.size = 3
        tar.addfile(later, io.BytesIO(b'new'))
    assert contents(tmp_path)[3] == dict(x=b'new', y=b'one')


@pytest.mark.parametrize(
    ('member', 'message'),
    [
        (hard('9.x.png'), "'0.y.png' is a link to '9.x.png'"),
        (hard('1.x.png'), "'0.y.png' is a link to '1.x.png'"),  # comes later
        (symbolic('/x.png'), "'0.y.png' is a link to '/x.png'"),
        (symbolic('0.y.png'), "'0.y.png' is a link to '0.y.png'"),
        (symbolic('folder'), "'0.y.png' is a link to 'folder'"),
        (dict(type=tarfile.GNUTYPE_SPARSE, size=0), "'0.y.png' .*holes"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, member, message):
    shard = tar_file(
        tmp_path,
        {
            'folder': dict(type=tarfile.DIRTYPE),
            '0.x.png': b'1',
            '0.y.png': member,
            '1.x.png': b'1',
        },
        format=tarfile.GNU_FORMAT,
    )
    with pytest.raises(ValueError, match=f"'{shard}': {message}"):
        write_index(tmp_path)


@pytest.mark.parametrize('kind', [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_of_any_language(tmp_path, kind):
    names = ['é1.x.png', '熱像.x.png', 'z.x.png']
    files = {name: name.encode() for name in names}
    shard = tar_file(tmp_path, files, format=kind)
    assert contents(tmp_path) == [dict(x=name.encode()) for name in names]
    for name, sample in zip(names, ShardIndex(tmp_path), strict=True):
        assert sample['x'].startswith(f'tar://{shard}/{name}#')
    tar_file(tmp_path, {'é' * 50 + '.x.png': b'1'}, format=kind)
    with pytest.raises(ValueError, match='100 bytes'):
        write_index(tmp_path)
    tar_file(
        tmp_path,
        {'é.x.png': b'1'},
        format=tarfile.GNU_FORMAT,
        encoding='latin-1',
    )
    with pytest.raises(ValueError, match=r"a\.tar': .*udce9\.x\.png.*UTF-8"):
        write_index(tmp_path)


@pytest.mark.parametrize('size', [(1 << 32) + 9, (8 << 30) + 1])
def test_files_beyond_32_bits(tmp_path, size):
    """Of which nothing is written: what follows is found behind."""
    header = tarfile.TarInfo('a.x.npy')
    header.size = size
    last = tarfile.TarInfo('b.x.npy')
    last.size = 3
    with open(tmp_path / 'a.tar', 'wb') as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT))
        file.seek(size + -size % 512, os.SEEK_CUR)
        file.write(last.tobuf() + b'end'.ljust(512, b'\0') + bytes(1024))
    write_index(tmp_path)
    first, second = ShardIndex(tmp_path)
    assert f'#512+{size}@' in first['x']
    assert get(second['x']) == b'end'


@pytest.mark.parametrize(
    'damage',
    [
        lambda content: content[:1024],  # behind the first file
        lambda content: content[:1300],
        lambda content: content[:1100] + b'?' + content[1101:],
    ],
)
def test_a_damaged_shard_is_not_its_beginning(tmp_path, damage):
    shard = tar_file(tmp_path, {'a.x.png': b'1', 'b.x.png': b'2'})
    shard.write_bytes(damage(shard.read_bytes()))
    with pytest.raises(ValueError, match=r"a\.tar' is damaged.*byte 1024"):
        write_index(tmp_path)


def test_shards_one_behind_the_other(tmp_path):
    shard = tar_file(tmp_path, {'a.x.png': b'1'})
    shard.write_bytes(2 * shard.read_bytes())
    with pytest.raises(ValueError, match=r"a\.tar' goes on behind its end"):
        write_index(tmp_path)
