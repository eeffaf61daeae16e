"""A user's own folder, as docs/inference.md has it: boxes, files, videos.

VOC XML boxes on visible images, thermal images of another camera, a YOLOX on
each, fused.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.apis import DetInferencer, inference_detector, init_detector
from mmdet.evaluation import DumpDetResults
from mmengine.config import Config
from mmengine.fileio import load
from pages import read_page

from mmxdistill import infer
from mmxdistill.apis import MultiModalInferencer
from mmxdistill.engine import run_config
from mmxdistill.models.networks import build_network, resolve_network
from mmxdistill.registry import DATASETS, TRANSFORMS

PAGE = Path(__file__).resolve().parents[2] / 'docs/inference.md'
STEMS = ('night_1', 'night_2', 'night_3')
SIZE = (64, 48)  # visible images, (w, h)
THERMAL = (40, 36)
# From thermal to visible pixels.
HOMOGRAPHY = [[1.7, 0.05, -1.0], [0.02, 1.4, 0.5], [1e-4, 0, 1]]
CLASSES = ('person', 'car')

STREAM = """
_base_ = 'mmdet::yolox/yolox_tiny_8xb8-300e_coco.py'
model = dict(
    backbone=dict(deepen_factor=0.167, widen_factor=0.125),
    neck=dict(in_channels=[32, 64, 128], out_channels=16, num_csp_blocks=1),
    bbox_head=dict(num_classes=2, in_channels=16, feat_channels=16),
)
"""
FUSION = """
_base_ = 'mmdet::yolox/yolox_tiny_8xb8-300e_coco.py'
model = dict(
    _delete_=True,
    type='mmxdistill.LateFusionDetector',
    backbone=dict(),
    data_preprocessor=dict(
        type='mmxdistill.MultiModalDataPreprocessor',
        modalities=dict(rgb='rgb', thermal='thermal'),
        pad_size_divisor=32,
    ),
    streams=dict(
        rgb=dict(model='{{fileDirname}}/stream.py'),
        thermal=dict(model='{{fileDirname}}/stream.py'),
    ),
    test_cfg=dict(score_thr=0.05, nms=dict(type='nms', iou_threshold=0.65)),
)
load_pairs = dict(
    type='mmxdistill.LoadModalities',
    modalities=dict(
        rgb=[dict(type='LoadImageFromFile')],
        thermal=dict(
            path='{parent}/thermal/{stem}_ir.png',
            missing_channels=3,
            pipeline=[
                dict(type='mmxdistill.LoadGrayImageFromFile'),
                dict(
                    type='mmxdistill.WarpToReference',
                    matrix='{{fileDirname}}/homography.json',
                ),
            ],
        ),
    ),
)
test_dataloader = dict(
    _delete_=True,
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='XMLDataset',
        data_root='{{fileDirname}}/',
        ann_file='test.txt',
        data_prefix=dict(sub_data_root=''),
        img_subdir='visible',
        ann_subdir='boxes',
        metainfo=dict(classes=('person', 'car')),
        test_mode=True,
        pipeline=[
            load_pairs,
            dict(type='Resize', scale=(96, 96), keep_ratio=True),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='PackDetInputs'),
        ],
    ),
)
test_evaluator = dict(_delete_=True, type='VOCMetric')
"""
THERMAL_ONLY = """
_base_ = './stream.py'
{block}
test_dataloader = dict(
    _delete_=True,
    dataset=dict(
        type='XMLDataset',
        ann_file='test.txt',
        metainfo=dict(classes=('person', 'car')),
        pipeline=test_pipeline,
    ),
)
"""
XML = """<annotation><size><width>64</width><height>48</height></size>
<object><name>person</name><difficult>0</difficult><bndbox><xmin>5</xmin>
<ymin>6</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object></annotation>"""


def page_blocks():
    """Python of the page."""
    return re.findall(r'^```python\n(.*?)^```', PAGE.read_text(), re.M | re.S)


def randomize(model):
    """Weights with which the detections differ from box to box."""
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            fan = parameter[0].numel()
            parameter.data.normal_(0, fan**-0.5, generator=generator)
        elif name.endswith('bias'):
            parameter.data.normal_(0, 0.1, generator=generator)


def write_video(path, frames):
    codec = cv2.VideoWriter.fourcc(*'MJPG')
    writer = cv2.VideoWriter(str(path), codec, 25, frames[0].shape[1::-1])
    for frame in frames:
        writer.write(frame)
    writer.release()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp('user')
    for name in ('visible', 'thermal', 'boxes'):
        (root / name).mkdir()
    rng = np.random.default_rng(0)
    for stem in STEMS:
        noise = rng.integers(0, 256, (6, 8, 3), np.uint8)
        visible = cv2.resize(noise, SIZE, interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(root / f'visible/{stem}.jpg'), visible)
        thermal = cv2.resize(noise[..., 0], THERMAL)
        cv2.imwrite(str(root / f'thermal/{stem}_ir.png'), thermal)
        (root / f'boxes/{stem}.xml').write_text(XML)
    (root / 'test.txt').write_text('\n'.join(STEMS))
    (root / 'homography.json').write_text(json.dumps(HOMOGRAPHY))
    (root / 'stream.py').write_text(STREAM)
    (root / 'fusion.py').write_text(FUSION)
    model = build_network(resolve_network(str(root / 'fusion.py')))
    randomize(model)
    meta = dict(dataset_meta=dict(classes=CLASSES))
    state = dict(state_dict=model.state_dict(), meta=meta)
    torch.save(state, root / 'fusion.pth')
    return root


@pytest.fixture(scope='module')
def inferencer(folder):
    return MultiModalInferencer(
        folder / 'fusion.py', folder / 'fusion.pth', 'cpu'
    )


def files(folder, stem):
    return dict(
        rgb=folder / f'visible/{stem}.jpg',
        thermal=folder / f'thermal/{stem}_ir.png',
    )


def arrays(folder, stem):
    """What is in the files."""
    return {
        name: cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        for name, path in files(folder, stem).items()
    }


@pytest.fixture(scope='module')
def expected(folder, inferencer):
    """Of one pair after the other."""
    found = [inferencer(files(folder, stem))[0] for stem in STEMS]
    assert all(len(one['scores']) > 3 for one in found)
    assert found[0] != found[1]
    return found


def test_equals_the_test_tool(folder, expected, tmp_path, monkeypatch):
    # For the log; formatting it takes seconds.
    monkeypatch.setattr(Config, 'pretty_text', '')
    cfg = run_config.load_config(
        str(folder / 'fusion.py'), work_dir=str(tmp_path)
    )
    cfg.load_from = str(folder / 'fusion.pth')
    runner = run_config.build_runner(cfg, 'test')
    dump = DumpDetResults(out_file_path=str(tmp_path / 'out.pkl'))
    runner.test_evaluator.metrics.append(dump)
    runner.test()
    results = load(tmp_path / 'out.pkl')
    for one, result in zip(expected, results, strict=True):
        for key in ('labels', 'scores', 'bboxes'):
            np.testing.assert_array_equal(
                np.float32(one[key]), result['pred_instances'][key].numpy()
            )


def test_other_number_of_classes(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(Config, 'pretty_text', '')
    cfg = run_config.load_config(
        str(folder / 'fusion.py'), work_dir=str(tmp_path)
    )
    cfg.load_from = str(folder / 'fusion.pth')
    cfg.test_dataloader.dataset.metainfo.classes = ('person',)
    with pytest.raises(ValueError, match=r'num_classes=2 of model.streams.r'):
        run_config.build_runner(cfg, 'test')


def test_arrays_lists_folders_and_batches(folder, inferencer, expected):
    first = arrays(folder, STEMS[0])
    before = {name: image.copy() for name, image in first.items()}
    assert inferencer(first) == expected[:1]
    for name, image in first.items():
        np.testing.assert_array_equal(image, before[name])
    for value in (
        dict(rgb=folder / 'visible', thermal=folder / 'thermal'),
        dict(rgb=str(folder / 'visible')),  # the others by the config
        [files(folder, STEMS[0]), *(arrays(folder, s) for s in STEMS[1:])],
        {
            name: [files(folder, stem)[name] for stem in STEMS]
            for name in ('rgb', 'thermal')
        },
    ):
        for size in (1, 2):
            found = inferencer(value, batch_size=size)
            for one, other in zip(found, expected, strict=True):
                assert one['labels'] == other['labels']
                for key in ('scores', 'bboxes'):
                    np.testing.assert_allclose(
                        one[key], other[key], rtol=1e-3, atol=1e-3
                    )
    (sample,) = inferencer(first, return_datasamples=True)
    assert sample.pred_instances.scores.tolist() == expected[0]['scores']


def test_video(folder, inferencer, tmp_path):
    rgb = [arrays(folder, stem)['rgb'] for stem in STEMS]
    thermal = [
        cv2.cvtColor(arrays(folder, stem)['thermal'], cv2.COLOR_GRAY2BGR)
        for stem in STEMS
    ]
    write_video(tmp_path / 'rgb.avi', rgb)
    write_video(tmp_path / 'thermal.avi', thermal)
    write_video(tmp_path / 'short.avi', thermal[:2])
    videos = dict(rgb=tmp_path / 'rgb.avi', thermal=tmp_path / 'thermal.avi')
    found = inferencer(videos, out_dir=tmp_path / 'out')
    names = sorted(path.name for path in tmp_path.glob('out/*/*'))
    assert names == [
        f'rgb_{i:06d}.{suffix}' for i in range(3) for suffix in ('jpg', 'json')
    ]
    for i, one in enumerate(found):
        frame = {}
        for name, path in videos.items():
            video = cv2.VideoCapture(str(path))
            frame[name] = [video.read()[1] for _ in range(3)][i]
        assert inferencer(frame) == [one]
    with pytest.raises(ValueError, match=r'short.avi.* ends after 2 frames'):
        inferencer(dict(videos, thermal=tmp_path / 'short.avi'))


def test_command_of_an_installed_wheel(
    folder, inferencer, expected, installed, tmp_path
):
    """On folders, and on videos; the checkout is not on the path."""
    frames = [arrays(folder, stem) for stem in STEMS]
    videos = {name: str(tmp_path / f'{name}.avi') for name in frames[0]}
    write_video(videos['rgb'], [one['rgb'] for one in frames])
    gray = [cv2.merge([one['thermal']] * 3) for one in frames]
    write_video(videos['thermal'], gray)
    options = ['--score-thr', '0.3', '--device', 'cpu', '--out-dir']
    commands = [
        [
            *(f'rgb={folder}/visible', f'thermal={folder}/thermal'),
            *('--html', str(tmp_path / 'out/page.html')),
            *options,
            str(tmp_path / 'out'),
        ],
        [
            *(f'{name}={path}' for name, path in videos.items()),
            *options,
            str(tmp_path / 'videos'),
        ],
    ]
    code = f"""
import mmxdistill
from mmxdistill import infer
print(mmxdistill.__file__)
for words in {commands!r}:
    infer.run(infer.parse_args(['fusion.py', 'fusion.pth', *words]))
"""
    _, site = installed
    done = subprocess.run(
        [sys.executable, '-c', code],
        cwd=folder,
        env={**os.environ, 'PYTHONPATH': str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(site) in done.stdout and done.stdout.count('3 pairs') == 2
    for stem, one in zip(STEMS, expected, strict=True):
        found = json.loads((tmp_path / f'out/preds/{stem}.json').read_text())
        assert found == one
        picture = cv2.imread(str(tmp_path / f'out/vis/{stem}.jpg'))
        assert picture.shape == (SIZE[1], 2 * SIZE[0], 3)
    page = read_page(tmp_path / 'out/page.html')
    assert len(page.images) == 2 * len(STEMS)
    assert os.fsencode(folder / f'visible/{STEMS[0]}.jpg') in page.files
    rows = [row for row in page.rows if row]
    assert rows[0][:4] == ['pair', 'rgb', 'thermal', 'fused']
    for row, one in zip(rows[1:], expected, strict=True):
        assert int(row[3]) == sum(score >= 0.3 for score in one['scores'])
    for i, one in enumerate(inferencer(videos)):
        path = tmp_path / f'videos/preds/rgb_{i:06d}.json'
        assert json.loads(path.read_text()) == one


def test_missing_modality(folder, inferencer, tmp_path):
    pair = files(folder, STEMS[0])
    (alone,) = inferencer(dict(pair, thermal=None))
    inferencer.model.absent = ('thermal',)
    (rgb,) = inferencer(pair)
    inferencer.model.absent = ()
    assert alone == rgb and len(rgb['scores']) > 0
    absent = dict(pair, thermal=tmp_path / 'absent.png')
    with pytest.raises(FileNotFoundError, match=r"'thermal' lacks 1.*absent"):
        inferencer(absent)
    with pytest.warns(UserWarning, match='absent.png'):
        found = inferencer(absent, allow_missing=True, out_dir=tmp_path)
    assert found == [rgb]
    # Its name comes from the config.
    lonely = tmp_path / 'visible' / 'lonely.jpg'
    lonely.parent.mkdir()
    lonely.write_bytes(pair['rgb'].read_bytes())
    with pytest.raises(FileNotFoundError, match='thermal/lonely_ir.png'):
        inferencer(dict(rgb=lonely))
    with pytest.warns(UserWarning, match='thermal/lonely_ir.png'):
        assert inferencer(dict(rgb=lonely), allow_missing=True) == [rgb]
    with pytest.raises(ValueError, match=r"onto which \['thermal'\]"):
        inferencer(dict(pair, rgb=None))
    # Together with others.
    second = files(folder, STEMS[1])
    found = inferencer(
        [dict(pair, thermal=None), second],
        batch_size=2,
        html=tmp_path / 'page.html',
    )
    page = read_page(tmp_path / 'page.html')
    assert len(page.images) == 3
    number = str(sum(score >= 0.3 for score in rgb['scores']))
    assert [number, 'absent', number] in [row[1:4] for row in page.rows]
    np.testing.assert_allclose(
        found[0]['scores'], rgb['scores'], rtol=1e-3, atol=1e-3
    )


def test_data_set_whose_samples_lack_a_modality(folder, inferencer):
    cfg = Config.fromfile(folder / 'fusion.py')
    data = DATASETS.build(cfg.test_dataloader.dataset)
    path = folder / f'thermal/{STEMS[1]}_ir.png'
    hidden = path.rename(path.with_suffix('.hidden'))
    try:
        samples = [data[index] for index in range(2)]
    finally:
        hidden.rename(path)
    assert samples[1]['data_samples'].missing_modalities == ('thermal',)
    (alone,) = inferencer(dict(files(folder, STEMS[1]), thermal=None))
    packed = {key: [samples[1][key]] for key in samples[1]}
    (found,) = inferencer.model.test_step(packed)
    assert found.pred_instances.scores.tolist() == alone['scores']
    with pytest.raises(ValueError, match=r"2.jpg' lacks \['thermal'\]: stre"):
        inferencer.model.loss(None, packed['data_samples'])
    # Any other model.
    preprocessor = inferencer.model.data_preprocessor
    preprocessor.takes_missing = False
    try:
        with pytest.raises(ValueError, match='only a LateFusionDetector'):
            preprocessor(packed)
    finally:
        preprocessor.takes_missing = True


def test_page(folder, expected, monkeypatch):
    monkeypatch.chdir(folder)
    names = {}
    one, several, _ = page_blocks()
    exec(compile(one + several, PAGE.name, 'exec'), names)
    assert names['found'] == expected[0]
    assert len(list(folder.glob('outputs/*/*'))) == 2 * len(STEMS)


@pytest.mark.filterwarnings('ignore')
def test_functions_of_mmdet(folder, tmp_path):
    """One modality, 16 bits: the loader takes what theirs has read."""
    config, weights, path = (
        str(folder / name) for name in ('thermal.py', 'stream.pth', 't.png')
    )
    text = THERMAL_ONLY.format(block=page_blocks()[2])
    Path(config).write_text(text)
    model = build_network(resolve_network(config))
    randomize(model)
    meta = dict(dataset_meta=dict(classes=CLASSES))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), weights)
    rng = np.random.default_rng(0)
    image = rng.integers(6900, 9100, (48, 64)).astype(np.uint16)
    cv2.imwrite(path, image)

    detector = init_detector(config, weights, device='cpu')
    inferencer = DetInferencer(config, weights, 'cpu', show_progress=False)
    found = [
        inference_detector(detector, path).pred_instances.scores.tolist(),
        inference_detector(detector, image).pred_instances.scores.tolist(),
        inferencer(path)['predictions'][0]['scores'],
        inferencer(image)['predictions'][0]['scores'],
    ]
    assert len(found[0]) > 3 and found == [found[0]] * 4
    # As it was trained: by the loader alone.
    pipeline = Config.fromfile(config).test_pipeline
    alone = Compose([TRANSFORMS.build(step) for step in pipeline[1:]])
    data = alone(dict(img_path=path))
    both = Compose([TRANSFORMS.build(step) for step in pipeline])
    assert both(dict(img_path=path))['inputs'].equal(data['inputs'])
    assert data['inputs'].float().std() > 50


@pytest.mark.filterwarnings('ignore')
def test_functions_of_mmdet_say_what_pairs_need(folder):
    config, weights = (str(folder / f'fusion.{x}') for x in ('py', 'pth'))
    detector = init_detector(config, weights, device='cpu')
    path = str(folder / f'visible/{STEMS[0]}.jpg')
    message = r'loads rgb and thermal .*MultiModalInferencer.*\(rgb=..., th'
    for image in (path, cv2.imread(path)):
        with pytest.raises(ValueError, match=message):
            inference_detector(detector, image)
    with pytest.raises(ValueError, match=message):
        DetInferencer(config, weights, 'cpu')


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['rgb=visible', 'rgb=visible'], "'rgb' is given twice"),
        (['a.pth'], 'give the images'),
        (['rgb=visible', 'thermal=none'], 'thermal=none: there is no such'),
        (['none.pth', 'rgb=visible'], "no checkpoint 'none.pth'"),
        (['fusion.pth', 'word', 'rgb=visible'], "'word' is no MODALITY=PATH"),
    ],
)
def test_wrong_commands(folder, monkeypatch, capsys, words, message):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit):
        infer.parse_args(['fusion.py', *words])
    assert message in capsys.readouterr().err


def test_wrong_inputs(folder, inferencer, tmp_path):
    pair = arrays(folder, STEMS[0])
    for inputs, message in (
        (dict(pair, depth=pair['rgb']), r"no modality \['depth'\]"),
        (dict(rgb=pair['rgb']), "lacks 'thermal'.*give thermal=..., None if"),
    ):
        with pytest.raises(KeyError, match=message):
            inferencer(inputs)
    for inputs, message in (
        ('a.jpg', 'must be a dict, as rgb=..., thermal=...'),
        (dict(pair, rgb=pair['rgb'].astype(np.uint16)), 'uint16.*8 bits'),
        (dict(pair, rgb=pair['rgb'].transpose(2, 0, 1)), 'BGR, found uint8'),
        (dict(pair, thermal=pair['thermal'].astype(np.uint16)), 'value_range'),
    ):
        with pytest.raises(ValueError, match=message):
            inferencer(inputs)
    with pytest.raises(ValueError, match='has no LoadProposals'):
        inferencer(pair, proposals='windows')
    with pytest.raises(ValueError, match='batch_size .* from 1 on: 1.5'):
        inferencer(pair, batch_size=1.5)
    with pytest.raises(FileNotFoundError, match='work_dirs/stream/'):
        MultiModalInferencer(folder / 'fusion.py')
    with pytest.raises(ValueError, match='DetInferencer'):
        MultiModalInferencer(folder / 'stream.py', folder / 'fusion.pth')
