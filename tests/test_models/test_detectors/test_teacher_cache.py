"""Training with a cache is training without it, but for rounding."""

import copy
import functools
import json
import os
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmdet.structures import DetDataSample
from mmengine.registry import FUNCTIONS
from nets import backbone, fast_rcnn, preprocessor

from mmxdistill.engine.hooks.teacher_cache import open_cache
from mmxdistill.models.detectors.teacher_cache import TeacherCache, build_cache
from mmxdistill.registry import DATASETS, MODELS

FLIP = dict(type='RandomFlip', prob=0.5)
RESIZE = dict(type='Resize', scale=(96, 64), keep_ratio=True)
META = (
    'img_path',
    'modality_paths',
    'ori_shape',
    'img_shape',
    'scale_factor',
    'flip',
    'flip_direction',
)
PACK = dict(type='PackDetInputs', meta_keys=META)
LOAD = [dict(type='LoadImageFromFile')]


def config(**kwargs):
    return {
        **dict(
            type='mmxdistill.SupervisionTransfer',
            data_preprocessor=preprocessor('rgb', 'hha'),
            teacher=backbone('rgb', out_features=('pool2', 'pool5')),
            teacher_checkpoint=None,
            student=backbone('hha', out_features=('pool2', 'pool5')),
            modalities=dict(teacher='rgb', student='hha'),
            transfer_points=[point('pool5'), point('pool2', align='crop')],
        ),
        **kwargs,
    }


def point(name, **kwargs):
    loss = dict(type='mmxdistill.FeatureL2Loss', normalization='element')
    return dict(
        teacher=name, student=name, adaptation=dict(), loss=loss, **kwargs
    )


@functools.cache
def prototype(seed):
    return fresh(seed)


def fresh(seed, **kwargs):
    torch.manual_seed(seed)
    model = MODELS.build(config(**kwargs))
    model.init_weights()
    return model.train()


def build(path, seed=0, cache=None, **kwargs):
    settings = dict(path=str(path)) | (cache or {})
    if kwargs:
        return fresh(seed, teacher_cache=settings, **kwargs)
    model = copy.deepcopy(prototype(seed))
    reads = dict(teacher='rgb', student='hha')
    model.teacher_cache = build_cache(model, settings, reads)
    return model


@pytest.fixture
def root(tmp_path):
    """Four pairs, one of another size."""
    rng = np.random.default_rng(0)
    for folder in ('rgb', 'hha'):
        (tmp_path / folder).mkdir()
        for name in 'abcd':
            size = (50, 40) if name == 'd' else (40, 60)
            image = cv2.resize(
                rng.integers(0, 256, (8, 8, 3), np.uint8), size[::-1]
            )
            cv2.imwrite(str(tmp_path / f'{folder}/{name}.png'), image)
    return tmp_path


def pairs(root, *steps, load=LOAD, **kwargs):
    return DATASETS.build(
        dict(
            type='mmxdistill.PairedDataset',
            data_root=str(root),
            modalities={
                name: dict(path=f'{name}/{{stem}}.png', pipeline=pipeline)
                for name, pipeline in (('rgb', load), ('hha', LOAD))
            },
            check_pairs=False,
            serialize_data=False,  # which collects garbage
            pipeline=[*(steps or (FLIP, RESIZE)), PACK],
            **kwargs,
        )
    )


def batch(model, dataset, indices, seed=0):
    np.random.seed(seed)
    data = FUNCTIONS.get('pseudo_collate')([dataset[i] for i in indices])
    data = model.data_preprocessor(data, True)
    return data['inputs'], data['data_samples']


def exact(model, inputs, samples):
    cache, model.teacher_cache = model.teacher_cache, None
    try:
        return model.raw_features(inputs, samples)
    finally:
        model.teacher_cache = cache


def forbid(model):
    """No teacher may run any more."""

    def refuse(*_):
        raise AssertionError('the teacher runs')

    for teacher in model.teachers.values():
        for module in teacher.modules():
            module.register_forward_pre_hook(refuse)


@pytest.mark.parametrize(
    ('dtype', 'tolerance'),
    [('float16', 5e-4), ('bfloat16', 4e-3), ('int8', 3e-2)],
)
def test_features_are_those_of_the_teacher(root, dtype, tolerance):
    data = pairs(root)
    model = build(root / 'store', cache=dict(dtype=dtype))
    open_cache(model, data)
    wanted = []
    # Images of two sizes in a batch, flips of all of them.
    for seed in range(6):
        inputs, samples = batch(model, data, (0, 3, 1), seed)
        wanted.append((inputs, samples, exact(model, inputs, samples)))
    flips = {(s.img_path, s.flip) for _, two, _ in wanted for s in two}
    assert len(flips) == 6
    for again in range(3):
        if again == 2:  # by another process
            model.teacher_cache.flush()
            model = build(root / 'store', cache=dict(dtype=dtype))
            open_cache(model, data)
            forbid(model)
        for inputs, samples, expected in wanted:
            found = model.raw_features(inputs, samples)
            for (_, a), (_, b) in zip(found, expected, strict=True):
                assert a.dtype == torch.float32
                assert (a - b).norm() <= tolerance * b.norm()
    assert model.teacher_cache.found == model.teacher_cache.seen == 18


def test_gradients_are_those_of_the_teacher(root):
    model = build(root / 'store')
    open_cache(model, pairs(root))
    inputs, samples = batch(model, pairs(root), (0, 1))
    gradients = []
    for cache in (None, model.teacher_cache, model.teacher_cache):
        model.teacher_cache = cache
        model.zero_grad()
        losses = model.loss(inputs, samples)
        cached = losses.pop('teacher_cached', None)
        sum(losses.values()).backward()
        gradients.append(
            torch.cat([p.grad.flatten() for p in model.parameters()])
        )
    assert cached == 1
    # The first epoch and those after it are the same.
    assert torch.equal(gradients[1], gradients[2])
    error = (gradients[0] - gradients[1]).norm()
    assert 0 < error <= 1e-3 * gradients[0].norm()


def test_only_what_is_missing_is_computed(root):
    data = pairs(root, RESIZE)
    model = build(root / 'store')
    open_cache(model, data)
    seen = []
    model.teacher.register_forward_pre_hook(
        lambda module, args: seen.append(len(args[0]))
    )
    for indices in ((0, 1), (1, 2), (2, 0), (0, 1, 2)):
        model.raw_features(*batch(model, data, indices))
    assert seen == [2, 1]
    # Padded to another size, the cells at the border are others.
    model.raw_features(*batch(model, data, (3, 0)))
    model.raw_features(*batch(model, data, (0, 3)))
    assert seen == [2, 1, 2]


def test_validation_runs_the_teacher(root):
    model = build(root / 'store')
    model.eval()
    inputs, samples = batch(model, pairs(root), (0, 1))
    model.predict(inputs, samples)  # a cache that is not open does not matter
    model.train()
    with pytest.raises(RuntimeError, match='TeacherCacheHook'):
        model.loss(inputs, samples)


def test_several_teachers(root):
    teachers = {
        name: backbone('rgb', out_features=('pool5',)) for name in ('a', 'b')
    }
    model = build(
        root / 'store',
        teacher=teachers,
        teacher_checkpoint=dict(a=None, b=None),
        modalities=dict(a='rgb', b=['hha', 'rgb'][:1], student='hha'),
        transfer_points=[
            dict(point('pool5'), teacher='a.pool5'),
            dict(
                point('pool5'),
                teacher='b.pool5',
                student='conv5',
                align='crop',
            ),
        ],
    )
    open_cache(model, pairs(root))
    inputs, samples = batch(model, pairs(root), (0, 1))
    expected = exact(model, inputs, samples)
    model.raw_features(inputs, samples)
    forbid(model)
    found = model.raw_features(inputs, samples)
    for (_, a), (_, b) in zip(found, expected, strict=True):
        assert 0 < (a - b).norm() <= 5e-4 * b.norm()
    # The images of both modalities are part of what is looked up.
    image = root / 'hha/a.png'
    os.utime(image, ns=(1, 1))
    with pytest.raises(AssertionError, match='the teacher runs'):
        model.raw_features(inputs, samples)


def test_image_of_a_changed_shard_is_another(tmp_path):
    shard = tmp_path / 'a.tar'
    shard.touch()
    reads, slices = dict(teacher=['rgb']), dict(rgb=slice(3))
    cache = TeacherCache(str(tmp_path / 'store'), reads, slices)
    path = f'tar://{shard}/a.png#512+9'
    sample = DetDataSample(metainfo=dict(img_path=path))
    key = cache.key(sample, (32, 32))
    assert cache.key(sample, (32, 32)) == key
    os.utime(shard, ns=(1, 1))
    assert cache.key(sample, (32, 32)) != key


def test_mixed_precision_is_as_precise(root):
    model = build(root / 'store')
    open_cache(model, pairs(root))
    inputs, samples = batch(model, pairs(root), (0, 1))
    expected = exact(model, inputs, samples)
    with torch.autocast('cpu', torch.bfloat16):
        losses = model.loss(inputs, samples)
        sum(v for k, v in losses.items() if 'loss' in k).backward()
        found = model.raw_features(inputs, samples)
    for (_, a), (_, b) in zip(found, expected, strict=True):
        assert (a - b).norm() <= 5e-4 * b.norm()


class TestAnotherStore:
    """A folder of something else is refused, and the message says of what."""

    def opened(self, root, data=None, **kwargs):
        model = build(root / 'store', **kwargs)
        open_cache(model, data or pairs(root))
        return model

    @pytest.fixture(autouse=True)
    def first(self, root):
        model = self.opened(root)
        model.raw_features(*batch(model, pairs(root), (0, 1)))
        model.teacher_cache.flush()

    def test_the_same(self, root):
        assert len(self.opened(root).teacher_cache.store) == 2

    def test_weights(self, root):
        with pytest.raises(
            ValueError, match=r"store' has .*teacher\.weights.*stale='replace'"
        ):
            self.opened(root, seed=1)

    def test_one_weight(self, root):
        model = build(root / 'store')
        model.teacher.conv1.bias.data[0] += 1e-6
        with pytest.raises(ValueError, match='weights'):
            open_cache(model, pairs(root))

    def test_architecture_with_the_same_weights(self, root):
        model = build(root / 'store')
        model.teacher.conv2.padding = (0, 0)
        with pytest.raises(ValueError, match=r'architecture\.conv2.*padding'):
            open_cache(model, pairs(root))

    def test_settings_that_no_module_tells(self, root):
        """Two functions that differ for images of odd sizes only."""
        model = build(root / 'store')
        pool = functools.partial(F.max_pool2d, kernel_size=2, ceil_mode=True)
        model.teacher.pool1.forward = pool
        with pytest.raises(ValueError, match='other features: another arch'):
            open_cache(model, pairs(root))
        model.teacher_cache.stale = 'replace'
        open_cache(model, pairs(root))
        model.teacher.pool1.forward = functools.partial(pool, ceil_mode=False)
        model.teacher_cache.stale = 'error'
        with pytest.raises(ValueError, match='other features: another arch'):
            open_cache(model, pairs(root))

    def test_normalisation(self, root):
        statistics = preprocessor('rgb', 'hha')
        statistics['modalities']['rgb']['bgr_to_rgb'] = True
        with pytest.raises(ValueError, match=r'rgb\.bgr_to_rgb is false th'):
            self.opened(root, data_preprocessor=statistics)
        padded = dict(preprocessor('rgb', 'hha'), pad_value=9)
        padded |= dict(
            batch_augments=[
                dict(type='BatchFixedSizePad', size=(96, 96), img_pad_value=9)
            ]
        )
        with pytest.raises(ValueError, match='pad_value is 0.0 there and 9'):
            self.opened(root, data_preprocessor=padded)

    def test_loading(self, root):
        gray = [dict(type='LoadImageFromFile', color_type='unchanged')]
        with pytest.raises(ValueError, match='loading.*unchanged'):
            self.opened(root, pairs(root, load=gray))
        nearest = dict(RESIZE, interpolation='nearest')
        with pytest.raises(ValueError, match='loading.*nearest'):
            self.opened(root, pairs(root, FLIP, nearest))

    def test_type(self, root):
        with pytest.raises(ValueError, match='dtype is "float16" there and'):
            self.opened(root, cache=dict(dtype='int8'))

    def test_replaced_on_demand(self, root):
        model = self.opened(root, seed=1, cache=dict(stale='replace'))
        assert len(model.teacher_cache.store) == 0
        inputs, samples = batch(model, pairs(root), (0, 1))
        model.raw_features(inputs, samples)
        model.teacher_cache.flush()
        with pytest.raises(ValueError, match='weights'):
            self.opened(root)
        # The same again is no other.
        model = self.opened(root, seed=1, cache=dict(stale='replace'))
        assert len(model.teacher_cache.store) == 2

    def test_owner_that_was_replaced_goes_on(self, root):
        """What it adds is in nobody's way, if only the probe tells both."""
        data = pairs(root, RESIZE)
        old = self.opened(root)
        old.raw_features(*batch(old, data, (2,)))
        new = build(root / 'store', cache=dict(stale='replace'))
        new.teacher.pool1.forward = torch.nn.MaxPool2d(3, 2, 1).forward
        open_cache(new, pairs(root))
        old.teacher_cache.flush()
        new.teacher_cache.store.look()
        inputs, samples = batch(new, data, (2,))
        found = new.raw_features(inputs, samples)
        for (_, a), (_, b) in zip(
            found, exact(new, inputs, samples), strict=True
        ):
            assert (a - b).norm() <= 5e-4 * b.norm()
        assert new.teacher_cache.found == 0

    def test_student_does_not_matter(self, root):
        model = self.opened(
            root, student=backbone('rgb', out_features=('pool2', 'pool5'))
        )
        assert len(model.teacher_cache.store) == 2

    def test_records_of_something_else_are_never_found(self, root):
        """Two runs that begin a folder at the same moment."""
        file = root / 'store/store.json'
        file.unlink()
        model = self.opened(root, seed=1)
        assert len(model.teacher_cache.store) == 2
        model.raw_features(*batch(model, pairs(root), (0, 1)))
        assert model.teacher_cache.found == 0

    def test_damaged(self, root):
        (root / 'store/store.json').write_text('{')
        with pytest.raises(ValueError, match='damaged.*delete the folder'):
            self.opened(root)


class TestAnotherImage:
    @pytest.fixture
    def model(self, root):
        model = build(root / 'store')
        open_cache(model, pairs(root))
        model.raw_features(*batch(model, pairs(root, RESIZE), (0, 1)))
        return model

    def found(self, model, data):
        before = model.teacher_cache.found
        inputs, samples = batch(model, data, (0, 1))
        found = model.raw_features(inputs, samples)
        for (_, a), (_, b) in zip(
            found, exact(model, inputs, samples), strict=True
        ):
            assert (a - b).norm() <= 5e-4 * b.norm()
        return model.teacher_cache.found - before

    def test_scale(self, model, root):
        assert self.found(model, pairs(root, RESIZE)) == 2
        other = dict(type='Resize', scale=(90, 60), keep_ratio=True)
        assert self.found(model, pairs(root, other)) == 0

    def test_flip(self, model, root):
        flip = dict(type='RandomFlip', prob=1.0)
        for direction in ('horizontal', 'vertical', 'diagonal'):
            data = pairs(root, dict(flip, direction=direction), RESIZE)
            assert self.found(model, data) == 0
            assert self.found(model, data) == 2

    def test_file(self, model, root):
        image = root / 'rgb/a.png'
        cv2.imwrite(str(image), 255 - cv2.imread(str(image)))
        assert self.found(model, pairs(root, RESIZE)) == 1

    def test_changed_behind_our_back(self, model, root):
        """The same size and time, or a transform that nobody checked."""
        image = root / 'rgb/b.png'
        times = image.stat()
        content = np.full_like(cv2.imread(str(image)), 7)
        cv2.imwrite(str(image), content)
        size = times.st_size - image.stat().st_size
        with image.open('ab') as file:
            file.write(bytes(size))
        os.utime(image, ns=(times.st_atime_ns, times.st_mtime_ns))
        inputs, samples = batch(model, pairs(root, RESIZE), (0, 1))
        with pytest.raises(ValueError, match=r'b\.png.*another image'):
            model.raw_features(inputs, samples)

    def test_answer_that_comes_late(self, model):
        """On a GPU it is read later, and no batch follows the last one."""
        waiting = SimpleNamespace(synchronize=lambda: None)
        row = (waiting, torch.tensor([False, True]), ['a.png', 'b.png'])
        model.teacher_cache._guard._unread.append(row)
        with pytest.raises(ValueError, match=r'b\.png.*another image'):
            model.teacher_cache.flush()
        assert model.teacher_cache.store.size() > 0

    def test_colours_drawn_at_random(self, model, root):
        load = [*LOAD, dict(type='PhotoMetricDistortion')]
        inputs, samples = batch(
            model, pairs(root, RESIZE, load=load), (0, 1), seed=3
        )
        with pytest.raises(ValueError, match='at random'):
            model.raw_features(inputs, samples)


def test_values_that_do_not_fit(root):
    model = build(root / 'store')
    model.teacher.conv5.weight.data *= 1e6
    open_cache(model, pairs(root))
    inputs, samples = batch(model, pairs(root), (0, 1))
    with pytest.raises(ValueError, match=r"'pool5'.*float16.*'bfloat16'"):
        model.loss(inputs, samples)
    model.teacher.conv5.weight.data *= float('nan')
    model.teacher_cache = None
    other = build(root / 'other')
    other.teacher.load_state_dict(model.teacher.state_dict())
    open_cache(other, pairs(root))
    with pytest.raises(ValueError, match=r"'pool5'.*not finite"):
        other.loss(inputs, samples)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(dtype='float32'), "dtype must be one of .*'int8'"),
        (dict(stale='ignore'), 'stale must be one of'),
        (dict(max_gb=0), 'max_gb must be positive, not 0'),
        (dict(paht='a'), "dict\\(path=.*found .*'paht'"),
    ],
)
def test_wrong_settings(root, settings, message):
    with pytest.raises(ValueError, match=message):
        build(root, cache=settings)


def test_roi_features_are_refused(root):
    with pytest.raises(ValueError, match="'fc7' is computed on proposals"):
        build(
            root,
            teacher=fast_rcnn('rgb'),
            student=fast_rcnn('hha', 'hha'),
            transfer_points=[point('fc7')],
        )


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (
            dict(
                batch_augments=[
                    dict(
                        type='BatchSyncRandomResize',
                        random_size_range=(64, 96),
                    )
                ]
            ),
            'BatchSyncRandomResize.*leave it out',
        ),
        (
            dict(
                pad_value=3,
                batch_augments=[
                    dict(
                        type='BatchFixedSizePad',
                        size=(96, 96),
                        img_pad_value=114,
                    )
                ],
            ),
            r'img_pad_value=114.* pad_value=3.*depends on the others',
        ),
        (
            dict(encoders=dict(rgb=dict(type='mmxdistill.HHAEncoder'))),
            r"\['rgb'\].*on_device=False",
        ),
    ],
)
def test_preprocessor_that_is_not_repeatable(root, settings, message):
    model = build(
        root / 'store',
        data_preprocessor=preprocessor('rgb', 'hha') | settings,
    )
    with pytest.raises(ValueError, match=message):
        open_cache(model, pairs(root))


def test_fixed_padding_makes_all_batches_alike(root):
    padded = dict(
        batch_augments=[dict(type='BatchFixedSizePad', size=(96, 96))]
    )
    model = build(
        root / 'store',
        data_preprocessor=preprocessor('rgb', 'hha') | padded,
    )
    data = pairs(root, RESIZE)
    open_cache(model, data)
    for indices in ((0, 3), (1, 2), (0, 1), (3, 2)):
        model.raw_features(*batch(model, data, indices))
    assert model.teacher_cache.found == 4


def test_copies_share_the_folder(root):
    model = build(root / 'store')
    open_cache(model, pairs(root))
    other = copy.deepcopy(model)
    inputs, samples = batch(model, pairs(root), (0, 1))
    model.raw_features(inputs, samples)
    other.raw_features(inputs, samples)
    assert other.teacher_cache.found == 2
    assert not any('cache' in key for key in model.state_dict())


def test_made_with_is_told(root):
    model = build(root / 'store')
    open_cache(model, pairs(root))
    told = json.loads((root / 'store/store.json').read_text())
    assert told['teachers']['teacher']['features'] == ['pool2', 'pool5']
    assert told['dtype'] == 'float16'
