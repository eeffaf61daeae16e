import os
import pickle
import tarfile

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.fileio import get
from mmengine.model import BaseModel
from mmengine.registry import FUNCTIONS
from mmengine.runner import Runner

from mmxdistill.converters import shards as packing
from mmxdistill.converters.shards import pack_shards
from mmxdistill.datasets import PairedDataset, ResumableInfiniteSampler
from mmxdistill.datasets import ShardedPairedDataset as Sharded
from mmxdistill.datasets.check_memory import CheckMemory
from mmxdistill.datasets.sample_checks import Sample, check_sample
from mmxdistill.datasets.shards import ShardIndex, write_index

LOAD = dict(
    rgb=[dict(type='LoadImageFromFile')],
    x=[dict(type='mmxdistill.LoadGrayImageFromFile')],
)
PIPELINE = [
    dict(type='mmxdistill.CaffeRandomFlip', prob=0.5),
    dict(type='mmxdistill.CaffeResize', scale=17),
    dict(type='PackDetInputs', meta_keys=('modalities', 'flip')),
]
COUNT = 7


def files(root, **kwargs):
    return PairedDataset(
        data_root=str(root),
        modalities=dict(
            rgb=dict(path='rgb/{stem}.jpg', pipeline=LOAD['rgb']),
            x=dict(path='x/{stem}.PNG', pipeline=LOAD['x']),
        ),
        pipeline=PIPELINE,
        **kwargs,
    )


def shards(root, names=('rgb', 'x'), **kwargs):
    return Sharded(
        shards='shards',
        data_root=str(root),
        modalities={name: dict(pipeline=LOAD[name]) for name in names},
        pipeline=PIPELINE,
        **kwargs,
    )


def draws(dataset, seed=3, skip=0):
    """What a run gets, in the order of its sampler."""
    sampler = iter(ResumableInfiniteSampler(dataset, seed=seed))
    items = [next(sampler) for _ in range(10)][skip:]
    return pseudo_collate([dataset[item] for item in items])


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)
    for name in ('rgb', 'x'):
        (tmp_path / name).mkdir()
    for i in range(COUNT):
        image = rng.integers(0, 256, (20 + i, 25, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f'rgb/a.{i}.jpg'), image)
        path = tmp_path / f'x/a.{i}.PNG'
        path.write_bytes(cv2.imencode('.png', image[..., 0])[1].tobytes())
    pack_shards(files(tmp_path), tmp_path / 'shards', per_shard=3, jobs=1)
    return tmp_path


def test_same_samples_in_the_same_order(root):
    expected, found = draws(files(root)), draws(shards(root))
    for a, b in zip(expected['inputs'], found['inputs'], strict=True):
        np.testing.assert_array_equal(a, b)
    again = draws(pickle.loads(pickle.dumps(shards(root))), skip=4)
    for a, b in zip(expected['inputs'][4:], again['inputs'], strict=True):
        np.testing.assert_array_equal(a, b)


class Model(BaseModel):
    """Tells by its weights which images it saw, in which order."""

    def __init__(self):
        means = {name: dict(mean=[100.0] * 3) for name in LOAD}
        super().__init__(
            dict(
                type='mmxdistill.MultiModalDataPreprocessor', modalities=means
            )
        )
        self.layer = torch.nn.Conv2d(6, 2, 3)

    def forward(self, inputs, data_samples, mode):
        return dict(loss=(self.layer(inputs / 100) - 1).square().mean())


def train(dataset, work_dir, **kwargs):
    """Weights after some iterations of mmengine's runner."""
    torch.manual_seed(0)
    runner = Runner(
        model=Model(),
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=2,
            num_workers=0,
            dataset=dataset,
            sampler=dict(type='mmxdistill.ResumableInfiniteSampler'),
            collate_fn=FUNCTIONS.get('pseudo_collate'),
        ),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=6),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=3)
        ),
        default_scope='mmdet',
        randomness=dict(seed=1),
        experiment_name=f'{work_dir.parent.name}_{work_dir.name}',
        log_level='ERROR',
        **kwargs,
    )
    runner.train()
    return torch.cat([p.detach().flatten() for p in runner.model.parameters()])


def test_a_run_resumes_from_shards(root):
    """Weights are those of a run that was not interrupted."""
    whole = train(shards(root), root / 'whole')
    half = str(root / 'whole/iter_3.pth')
    resumed = train(shards(root), root / 'rest', load_from=half, resume=True)
    assert torch.equal(resumed, whole)
    # From single files, too, and their runs go on from shards.
    again = train(files(root), root / 'files', load_from=half, resume=True)
    assert torch.equal(again, whole)


def test_the_library_of_the_format_reads_ours(root):
    webdataset = pytest.importorskip('webdataset')
    paths = sorted(map(str, (root / 'shards').glob('*.tar')))
    found = list(
        webdataset.WebDataset(paths, shardshuffle=False, empty_check=False)
    )
    assert [one['__key__'] for one in found] == [
        f'{i:09d}_a_{i}' for i in range(COUNT)
    ]
    for i, one in enumerate(found):
        assert one['rgb.jpg'] == (root / f'rgb/a.{i}.jpg').read_bytes()
        assert one['x.png'] == (root / f'x/a.{i}.PNG').read_bytes()


@pytest.mark.parametrize('names', [('rgb.jpg', 'x.png'), ('jpg', 'png')])
def test_we_read_those_of_the_library(root, names):
    """Whose samples may hold labels beside, and endings for names."""
    webdataset = pytest.importorskip('webdataset')
    out = root / 'theirs'
    out.mkdir()
    pattern = str(out / 'part-%04d.tar')
    with webdataset.ShardWriter(pattern, maxcount=3, verbose=0) as writer:
        for i in range(COUNT):
            writer.write(
                {
                    '__key__': f'sample{i:04d}',
                    names[0]: (root / f'rgb/a.{i}.jpg').read_bytes(),
                    names[1]: (root / f'x/a.{i}.PNG').read_bytes(),
                    'json': dict(label=i),
                }
            )
    assert write_index(out) == COUNT
    assert len(list(out.glob('*.tar'))) == 3
    modalities = {
        name.partition('.')[0]: dict(pipeline=pipeline)
        for name, pipeline in zip(names, LOAD.values(), strict=True)
    }
    dataset = Sharded('theirs', modalities, data_root=str(root))
    dataset.pipeline.transforms += files(root).pipeline.transforms[1:]
    expected, found = draws(files(root)), draws(dataset)
    for a, b in zip(expected['inputs'], found['inputs'], strict=True):
        np.testing.assert_array_equal(a, b)


def test_parts_of_it(root):
    assert len(shards(root)) == COUNT
    some = shards(root, indices=[5, 2])
    assert [some[i]['inputs'].shape for i in (0, 1)] == [
        files(root, indices=[i])[0]['inputs'].shape for i in (5, 2)
    ]
    assert len(shards(root, indices=3)) == 3
    (only,) = shards(root, names=['x'], indices=1)
    assert only['inputs'].shape[0] == 3
    (only,) = shards(root, use=['x'], indices=1)
    assert only['data_samples'].modalities == ('x',)
    info = shards(root).get_data_info(2)
    assert (info['width'], info['height']) == (25, 22)


def test_copies_in_two_splits_are_found(root):
    """By what the files hold, in shards or not."""
    (one, other) = (
        check_sample(
            Sample('a', d.get_data_info(1), d.pipeline.transforms[0], [])
        )
        for d in (files(root), shards(root))
    )
    assert one.digest == other.digest is not None
    assert not one.problems + other.problems


def test_packing_again_keeps_what_is_there(root):
    paths = sorted((root / 'shards').glob('*.tar'))
    assert len(paths) == 3
    before = [path.read_bytes() for path in paths]
    times = [path.stat().st_mtime_ns for path in paths[1:]]
    paths[0].unlink()
    pack_shards(files(root), root / 'shards', per_shard=3, jobs=1)
    assert [path.read_bytes() for path in paths] == before
    assert [path.stat().st_mtime_ns for path in paths[1:]] == times
    with pytest.raises(ValueError, match='shards of other files'):
        pack_shards(files(root, indices=2), root / 'shards', 3, 1)


def repack(root, data=None, out='shards'):
    pack_shards(data or files(root), root / out, per_shard=3, jobs=1)


def assert_packed(root):
    """The shards hold what is in the files."""
    samples = ShardIndex(root / 'shards')
    assert len(samples) == COUNT
    for i, sample in enumerate(samples):
        assert get(sample['rgb']) == (root / f'rgb/a.{i}.jpg').read_bytes()
        assert get(sample['x']) == (root / f'x/a.{i}.PNG').read_bytes()


def encode_anew(root, level, number=1):
    path = root / f'x/a.{number}.PNG'
    image = np.full((20 + number, 25), level, np.uint8)
    path.write_bytes(cv2.imencode('.png', image)[1].tobytes())


def test_packing_of_changed_files_begins_anew(root, monkeypatch, capsys):
    folder = root / 'shards'
    encode_anew(root, 9)
    repack(root)  # all shards are there
    assert 'made again' in capsys.readouterr().out
    assert_packed(root)
    (folder / 'pairs-000001.tar').unlink()
    size = (root / 'x/a.1.PNG').stat().st_size
    encode_anew(root, 8)
    assert (root / 'x/a.1.PNG').stat().st_size == size

    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(packing, 'map_parallel', interrupted)
        with pytest.raises(KeyboardInterrupt):
            repack(root)
    assert [path.name for path in folder.iterdir()] == ['packing.json']
    repack(root)
    assert_packed(root)
    # Nobody knows whether files behind an address are the same.
    assert packing._state(['http://a/a.png']) is None
    monkeypatch.setattr(packing, '_state', lambda paths: None)
    capsys.readouterr()
    repack(root)
    assert 'made again' in capsys.readouterr().out


def test_packing_of_changed_shards_begins_anew(root, capsys):
    repack(root, shards(root), 'copy')
    repack(root, shards(root), 'copy')
    assert 'made again' not in capsys.readouterr().out
    assert [get(sample['x']) for sample in ShardIndex(root / 'copy')] == [
        get(sample['x']) for sample in ShardIndex(root / 'shards')
    ]
    os.utime(root / 'shards/pairs-000002.tar', ns=(1, 1))
    repack(root, shards(root), 'copy')
    assert 'made again' in capsys.readouterr().out


@pytest.mark.parametrize('forgotten', [True, False])
def test_shards_of_others_are_not_kept(root, forgotten):
    """Which might have other files, of the same names."""
    name = 'pairs-000000.tar' if forgotten else 'other.tar'
    if forgotten:
        (root / 'shards/packing.json').unlink()
    else:
        (root / 'shards/pairs-000001.tar').rename(root / 'shards' / name)
    with pytest.raises(ValueError, match=rf'{name}.*empty folder'):
        repack(root)
    assert (root / 'shards' / name).exists()


def rewrite(shard, change):
    """Write a shard again, with other members; returns nothing."""
    with tarfile.open(shard) as tar:
        members = [(m, tar.extractfile(m).read()) for m in tar]
    with tarfile.open(shard, 'w', format=tarfile.USTAR_FORMAT) as tar:
        for member, content in change(members):
            (shard.parent / 'content').write_bytes(content)
            member.size = len(content)
            with open(shard.parent / 'content', 'rb') as file:
                tar.addfile(member, file)


def test_bad_files_in_shards_are_named(root):
    shard = root / 'shards/pairs-000001.tar'
    deep = cv2.imencode('.png', np.full((23, 25), 999, np.uint16))[1]
    loaded = dict(LOAD)

    def change(members):
        return [
            (m, deep.tobytes() if m.name.endswith('a_3.x.png') else content)
            for m, content in members
        ]

    rewrite(shard, change)
    with pytest.raises(ValueError, match='other shards|not the index of'):
        shards(root).full_init()
    assert write_index(root / 'shards') == COUNT
    with pytest.raises(ValueError, match=r'(?s)1 of 7.*a_3\.x\.png.*uint16'):
        shards(root).full_init()
    # The loader of mmcv would cut it down to 8 bits.
    try:
        LOAD['x'] = [dict(type='LoadImageFromFile', color_type='grayscale')]
        with pytest.raises(
            ValueError, match=r'(?s)a_3\.x\.png.*more than 8 bits'
        ):
            shards(root).full_init()
    finally:
        LOAD.update(loaded)


def test_shards_of_another_index_are_noticed(root):
    dataset = shards(root)
    shard = root / 'shards/pairs-000000.tar'
    rewrite(shard, lambda members: members[::-1])
    with pytest.raises(ValueError, match=r'pairs-000000\.tar.*index'):
        dataset[0]
    shard.write_bytes(shard.read_bytes()[:900])
    with pytest.raises(ValueError, match=r'pairs-000000\.tar.*ends before'):
        dataset[2]


def test_settings_of_single_files_are_refused(root):
    for key in ('ann_file', 'proposal_file'):
        with pytest.raises(ValueError, match=f'takes no {key}'):
            shards(root, **{key: 'a.pkl'})
    with pytest.raises(ValueError, match='its files are in the shards'):
        Sharded('shards', dict(rgb='rgb/{stem}.jpg'), data_root=str(root))
    with pytest.raises(ValueError, match=r"but not \['z'\]"):
        Sharded('shards', dict(z={}), data_root=str(root)).full_init()
    (root / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='no index.json'):
        Sharded('empty', dict(rgb={}), data_root=str(root)).full_init()
    with pytest.raises(ValueError, match='no \\*.tar file'):
        write_index(root / 'empty')


def test_samples_of_other_modalities_are_refused(root):
    shard = root / 'shards/pairs-000002.tar'
    rewrite(shard, lambda members: members[1:])
    with pytest.raises(ValueError, match=r'pairs-000002.*000000006.*same'):
        write_index(root / 'shards')


def test_checks_are_remembered_by_shard(root, monkeypatch):
    monkeypatch.setenv('MMXDISTILL_CACHE', str(root / 'cache'))
    dataset = shards(root)
    dataset.full_init()
    loader = dataset.pipeline.transforms[0]
    known = CheckMemory.of_loader(loader).known
    assert len(known) == COUNT
    assert CheckMemory.state(loader, dataset.get_record(0)) in known


def damaged_rows(root, change):
    path = root / 'shards/index.npy'
    rows = np.load(path)
    change(rows)
    np.save(path, rows)
    return shards(root, check_pairs=False)


@pytest.mark.parametrize(
    ('field', 'value'),
    [
        ('shard', 9),
        ('key', b'\xff'),
        ('offset', 2**63),
        ('offset', 3),
        ('size', 2**32 - 1),
        ('size', 9),
        ('mark', 0),
    ],
)
def test_damaged_rows_of_the_index(root, field, value):
    def change(rows):
        rows[field][1] = value

    dataset = damaged_rows(root, change)
    with pytest.raises(ValueError, match=r'shards/'):
        dataset[1]


def test_damaged_index(root):
    path = root / 'shards/index.npy'
    content = path.read_bytes()
    for damaged in (
        content[:40],
        content.replace(b"'shard'", b"'shird'"),
        content.replace(b"{'descr'", b"('descr'"),
        content.replace(b'(2,)', b'(1,)'),
    ):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"shards/index\..*' is damaged"):
            shards(root, check_pairs=False)
    path.write_bytes(content)
    shards(root, check_pairs=False)


def test_modalities_of_one_name_are_refused(root):
    def with_text(members):
        for member, content in members:
            yield member, content
            if member.name.endswith('.x.png'):
                yield tarfile.TarInfo(member.name[:-3] + 'txt'), b'1'

    for shard in (root / 'shards').glob('*.tar'):
        rewrite(shard, with_text)
    with pytest.raises(ValueError, match='several files'):
        write_index(root / 'shards')


def test_damaged_plan_of_packing(root):
    (root / 'shards/packing.json').write_text('{')
    with pytest.raises(ValueError, match=r"packing\.json' is no JSON"):
        pack_shards(files(root), root / 'shards', per_shard=3, jobs=1)
