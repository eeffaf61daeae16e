"""Both converters, on golden networks and on real weights."""

import json
import re
import subprocess
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from google.protobuf import text_format
from mmengine.runner import load_checkpoint

from mmxdistill.caffe import (
    CaffeLayer,
    CaffeModel,
    collect_blobs,
    read_caffemodel,
    write_caffemodel,
)
from mmxdistill.caffe.schema import messages
from mmxdistill.registry import MODELS

TOOLS = Path(__file__).parents[2] / 'tools' / 'model_converters'
# Folder, file, and the documented best classes of cat.jpg with their scores.
SQUEEZENETS = {
    '1.1': (
        'squeezenet_v1.1',
        'squeezenet_v1.1_fp16.caffemodel',
        {
            'tabby': 0.272,
            'tiger cat': 0.265,
            'kit fox': 0.179,
            'Egyptian cat': 0.083,
        },
    ),
    '1.0': (
        'squeezenet_v1.0_compressed',
        'squeezenet_v1.0_deepcompression.caffemodel',
        {'kit fox': 0.62, 'red fox': 0.22},
    ),
}


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The two scripts, as modules."""
    monkeypatch.syspath_prepend(str(TOOLS))
    return SimpleNamespace(
        to_mm=import_module('caffe_to_mm'),
        to_caffe=import_module('mm_to_caffe'),
    )


def run(tool: ModuleType, *arguments: object) -> None:
    tool.main([str(argument) for argument in arguments])


def blobs_of(path: Path) -> dict[str, tuple[np.ndarray, ...]]:
    return collect_blobs(read_caffemodel(path).layers)


def assert_same_blobs(path: Path, expected: Path) -> None:
    found, blobs = blobs_of(path), blobs_of(expected)
    assert found.keys() == blobs.keys()
    for name, arrays in blobs.items():
        for a, b in zip(found[name], arrays, strict=True):
            assert a.shape == b.shape, name
            assert a.tobytes() == b.tobytes(), name


def write_caffenet(path: Path, prefix: str = '', seed: int = 0) -> None:
    """Write a small network as supervision transfer makes it."""
    generator = np.random.default_rng(seed)
    shapes = ((4, 3, 11, 11), (8, 2, 5, 5), (6, 8, 3, 3), (6, 3, 3, 3))
    layers = [
        CaffeLayer(
            f'{prefix}conv{i}',
            'Convolution',
            blobs=tuple(
                generator.normal(size=s).astype('f4')
                for s in (shape, shape[:1])
            ),
        )
        for i, shape in enumerate((*shapes, (4, 3, 3, 3)), start=1)
    ]
    write_caffemodel(path, CaffeModel('transfer', tuple(layers)))


def test_transfer_product(
    tools: SimpleNamespace,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, checkpoint = tmp_path / 'st.caffemodel', tmp_path / 'st.pth'
    write_caffenet(source, 'da_')
    run(tools.to_mm, source, checkpoint)
    assert 'da_conv2 <-> backbone.conv2  8x2x5x5' in capsys.readouterr().out

    # Loads into a backbone from a config, every key used.
    net = MODELS.build(
        dict(
            type='mmxdistill.CaffeNet',
            channels=(4, 8, 6, 6, 4),
            geometry='hha',
            init_cfg=dict(
                type='Pretrained',
                checkpoint=str(checkpoint),
                prefix='backbone.',
            ),
        )
    )
    net.init_weights()
    weight = blobs_of(source)['da_conv3'][0]
    assert (net.conv3.weight.detach().numpy() == weight).all()

    back = tmp_path / 'back.caffemodel'
    run(tools.to_caffe, checkpoint, back)  # remembers the stream
    assert_same_blobs(back, source)
    run(tools.to_caffe, checkpoint, back, '--stream', 'rgb')
    assert 'conv1' in blobs_of(back)


def test_joining_and_splitting_streams(
    tools: SimpleNamespace, tmp_path: Path
) -> None:
    rgb, hha = tmp_path / 'rgb.caffemodel', tmp_path / 'hha.caffemodel'
    write_caffenet(rgb)
    write_caffenet(hha, 'da_', seed=1)
    fused, split = tmp_path / 'fused.pth', tmp_path / 'hha.pth'
    names = ('--stream-names', 'rgb', 'ir')
    run(tools.to_mm, rgb, hha, fused, *names)
    state = torch.load(fused, weights_only=True)['state_dict']
    assert 'streams.ir.backbone.conv1.weight' in state
    both = tmp_path / 'both.caffemodel'
    run(tools.to_caffe, fused, both, *names)
    assert blobs_of(both).keys() == blobs_of(rgb).keys() | blobs_of(hha)

    run(tools.to_mm, both, split, '--stream', 'hha')
    back = tmp_path / 'back.caffemodel'
    run(tools.to_caffe, split, back)
    assert_same_blobs(back, hha)
    run(tools.to_mm, rgb, tmp_path / 'rgb.pth')
    run(tools.to_caffe, tmp_path / 'rgb.pth', split, back)
    assert_same_blobs(back, both)
    with pytest.raises(SystemExit, match='more than once: conv1'):
        run(tools.to_mm, rgb, rgb, fused)


def test_training_checkpoint(tools: SimpleNamespace, tmp_path: Path) -> None:
    """Half precision, parameters, and keys that have no Caffe layer."""
    write_caffenet(tmp_path / 'net.caffemodel')
    run(tools.to_mm, tmp_path / 'net.caffemodel', tmp_path / 'net.pth')
    state = torch.load(tmp_path / 'net.pth', weights_only=True)['state_dict']
    state = {
        key: torch.nn.Parameter(value.half()) for key, value in state.items()
    }
    state['adaptation.conv.weight'] = torch.zeros(2, 2)
    torch.save(dict(state_dict=state), tmp_path / 'run.pth')
    back = tmp_path / 'back.caffemodel'
    with pytest.raises(SystemExit, match='unknown: adaptation') as info:
        run(tools.to_caffe, tmp_path / 'run.pth', back)
    assert 'run.pth' in str(info.value)
    assert not back.exists()
    run(tools.to_caffe, tmp_path / 'run.pth', back, '--skip-extra')
    (weight, _) = blobs_of(back)['conv1']
    expected = state['backbone.conv1.weight'].detach().float().numpy()
    assert (weight == expected).all()


ALEXNET = """
layer { name: "data" type: "ImageData" top: "data"
  transform_param { mean_value: 104 mean_value: 117 mean_value: 123 } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 11 stride: 4 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "norm1" type: "LRN" bottom: "conv1" top: "norm1"
  lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 } }
layer { name: "pool1" type: "Pooling" bottom: "norm1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
  convolution_param { num_output: 8 kernel_size: 5 pad: 2 group: 2 } }
"""


@pytest.mark.parametrize('source', ['caffemodel', 'prototxt'])
def test_alexnet_with_norm_before_pool_is_refused(
    tools: SimpleNamespace, tmp_path: Path, source: str
) -> None:
    """Its weights have CaffeNet's shapes, but other features."""
    weights, text = tmp_path / 'alexnet.caffemodel', tmp_path / 'net.prototxt'
    write_caffenet(weights)
    text.write_text(ALEXNET)
    options: tuple[object, ...] = ('--prototxt', text)
    if source == 'caffemodel':  # as Caffe writes it: with the definition
        options = ()
        stored = messages().NetParameter.FromString(weights.read_bytes())
        layers = messages().NetParameter()
        text_format.Parse(
            ALEXNET.replace('pool: MAX ', ''), layers, allow_unknown_field=True
        )
        for layer in stored.layer:
            mine = [la for la in layers.layer if la.name == layer.name]
            (mine or [layers.layer.add()])[0].MergeFrom(layer)
        weights.write_bytes(layers.SerializeToString())
    with pytest.raises(SystemExit) as info:
        run(tools.to_mm, weights, tmp_path / 'net.pth', *options)
    assert 'alexnet.caffemodel: the weights belong' in str(info.value)
    assert re.search(r'file has ReLU\(\), LRN.* Pooling', str(info.value))
    assert not (tmp_path / 'net.pth').exists()


def test_what_the_file_says_about_pixels_is_printed(
    tools: SimpleNamespace,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    weights, text = tmp_path / 'net.caffemodel', tmp_path / 'net.prototxt'
    write_caffenet(weights)
    text.write_text(
        'layer { name: "data" type: "Data" top: "data" transform_param '
        '{ mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.5 } }'
    )
    run(tools.to_mm, weights, tmp_path / 'a.pth', '--prototxt', text)
    printed = capsys.readouterr().out
    assert 'BGR, (pixel - [104.0, 117.0, 123.0]) * 0.5' in printed
    assert 'std=[2.0, 2.0, 2.0], bgr_to_rgb=False' in printed
    text.write_text(
        'layer { name: "data" type: "Data" top: "data" transform_param '
        '{ mean_file: "ilsvrc.binaryproto" } }'
    )
    run(tools.to_mm, weights, tmp_path / 'a.pth', '--prototxt', text)
    assert (
        "subtracts the image 'ilsvrc.binaryproto'" in capsys.readouterr().out
    )


def test_problems_are_listed_together(
    tools: SimpleNamespace, tmp_path: Path
) -> None:
    source = tmp_path / 'net.caffemodel'
    write_caffenet(source)
    layers = {la.name: la for la in read_caffemodel(source).layers}
    blobs = layers['conv3'].blobs
    changed = [
        layers['conv1'],
        CaffeLayer('conv2', 'Convolution', blobs=blobs),
        layers['conv4'],
        CaffeLayer('conv5', 'Convolution', blobs=blobs[:1]),
        CaffeLayer('bn1', 'BatchNorm', blobs=(blobs[1],) * 3),
        CaffeLayer('adapt', 'Convolution', blobs=blobs),
    ]
    write_caffemodel(source, CaffeModel('net', tuple(changed)))
    with pytest.raises(SystemExit, match='do not fit CaffeNet') as info:
        run(tools.to_mm, source, tmp_path / 'net.pth')
    for problem in (
        'missing: backbone.conv3.weight',
        'wrong shape: conv2 -> backbone.conv2.weight is (6, 8, 3, 3), '
        'expected (6, 2, 5, 5)',
        'missing: conv5 -> backbone.conv5.bias',
        'unknown: adapt -> backbone.adapt.weight',
        'unknown: bn1 -> bn1.blob2',
    ):
        assert problem in str(info.value)
    write_caffemodel(
        source, CaffeModel('net', (*layers.values(), *changed[-2:]))
    )
    run(tools.to_mm, source, tmp_path / 'net.pth', '--skip-extra')
    state = torch.load(tmp_path / 'net.pth', weights_only=True)['state_dict']
    assert len(state) == 2 * len(layers)


def test_bad_input(tools: SimpleNamespace, tmp_path: Path) -> None:
    text, out = tmp_path / 'net.prototxt', tmp_path / 'net.pth'
    text.write_text('name: "net"\n')
    with pytest.raises(SystemExit, match=r'net\.prototxt is a text file'):
        run(tools.to_mm, text, out)
    with pytest.raises(SystemExit, match=r'net\.prototxt.* no file of PyT'):
        run(tools.to_caffe, text, tmp_path / 'net.caffemodel')
    damaged = tmp_path / 'damaged.pth'
    damaged.write_bytes(b'\x80\2damaged')
    with pytest.raises(SystemExit, match=r'no checkpoint .* weights_only'):
        run(tools.to_caffe, damaged, tmp_path / 'net.caffemodel')
    damaged.unlink()
    odd = {'epoch': 3, 7: torch.zeros(1)}
    torch.save(odd, tmp_path / 'odd.pth')
    with pytest.raises(SystemExit, match=r'odd.pth: no named .*: epoch, 7'):
        run(tools.to_caffe, tmp_path / 'odd.pth', tmp_path / 'a.caffemodel')
    with pytest.raises(SystemExit, match=r'gone\.caffemodel'):
        run(tools.to_mm, tmp_path / 'gone.caffemodel', out)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        'net.prototxt',
        'odd.pth',
    ]


def test_output_is_never_an_input(
    tools: SimpleNamespace,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two inputs and a forgotten output must not overwrite the second."""
    paths = tmp_path / 'a.caffemodel', tmp_path / 'b.caffemodel'
    with pytest.raises(SystemExit):
        run(tools.to_mm, *paths)
    assert 'must end with .pth' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(tools.to_caffe, 'a.pth', 'b.pth')
    assert 'must end with .caffemodel' in capsys.readouterr().err


@pytest.mark.golden
def test_golden_round_trip(
    data_root: Path, tools: SimpleNamespace, tmp_path: Path
) -> None:
    """Bit-exact, and an independent reader computes all of Caffe's blobs."""
    files = sorted((data_root / 'caffe_golden').glob('net_*.caffemodel'))
    assert any('_v1.' in path.name for path in files)
    for path in files:
        checkpoint = tmp_path / f'{path.stem}.pth'
        back = tmp_path / path.name
        run(tools.to_mm, path, checkpoint)
        run(tools.to_caffe, checkpoint, back)
        assert_same_blobs(back, path)
        if hasattr(cv2.dnn, 'readNetFromCaffe'):
            name = path.stem.removesuffix('_v1')
            check_in_opencv(path.with_name(f'{name}.prototxt'), back)


def check_in_opencv(prototxt: Path, weights: Path) -> None:
    """Run a network in OpenCV and compare all blobs with Caffe's."""
    arrays = np.load(prototxt.with_suffix('.npz'))
    net = cv2.dnn.readNetFromCaffe(str(prototxt), str(weights))
    net.enableFusion(False)
    net.enableWinograd(False)
    for key in arrays:
        if key.startswith('input/'):
            net.setInput(arrays[key], key.removeprefix('input/'))
    last = last_layers(prototxt.read_text())
    blobs = [key for key in arrays if key.startswith('blob/')]
    found = net.forward([last[key.removeprefix('blob/')] for key in blobs])
    for key, blob in zip(blobs, found, strict=True):
        assert blob.shape == arrays[key].shape, (weights.name, key)
        error = np.abs(blob - arrays[key]).max() / np.abs(arrays[key]).max()
        assert error < 1e-5, (weights.name, key)


def last_layers(prototxt: str) -> dict[str, str]:
    """Layer, as OpenCV calls it, that writes each blob last (in place)."""
    layers: dict[str, str] = {}
    count: Counter[str] = Counter()
    for body in prototxt.split('layer {')[1:]:
        name = re.findall(r'name: "(\S+)"', body)[0]
        unique = f'{name}_{count[name]}' if count[name] else name
        count[name] += 1
        layers.update(dict.fromkeys(re.findall(r'top: "(\S+)"', body), unique))
    return layers


@pytest.mark.golden
def test_golden_net_surgery(
    data_root: Path, tools: SimpleNamespace, tmp_path: Path
) -> None:
    """Two single detectors make the fused file, bit-exact, and back."""
    folder = data_root / 'caffe_golden'
    joined = 0
    for path in sorted(folder.glob('net_*.npz')):
        meta = json.loads(str(np.load(path).get('meta_json', '{}')))
        singles = [
            (folder / name).with_suffix('.caffemodel')
            for name in meta.get('weights_from', ())
        ]
        if not singles:
            continue
        fused = path.with_suffix('.caffemodel')
        checkpoints = [tmp_path / f'{file.stem}.pth' for file in singles]
        for file, checkpoint in zip(singles, checkpoints, strict=True):
            run(tools.to_mm, file, checkpoint)
        back = tmp_path / 'fused.caffemodel'
        run(tools.to_caffe, *checkpoints, back)
        assert_same_blobs(back, fused)
        for file, stream in zip(singles, ('rgb', 'hha'), strict=True):
            part = tmp_path / 'part.pth'
            run(tools.to_mm, fused, part, '--stream', stream)
            run(tools.to_caffe, part, back)
            assert_same_blobs(back, file)
        joined += 1
    assert joined


@pytest.mark.parametrize('version', SQUEEZENETS)
def test_real_squeezenet(
    data_root: Path, tools: SimpleNamespace, tmp_path: Path, version: str
) -> None:
    weights = data_root / 'weights'
    folder, file, expected = SQUEEZENETS[version]
    source, checkpoint = weights / folder / file, tmp_path / 'net.pth'
    run(tools.to_mm, source, checkpoint)
    net = MODELS.build(
        dict(
            type='mmxdistill.SqueezeNet',
            version=version,
            out_features=['pool10'],
        )
    ).eval()
    load_checkpoint(
        net,
        str(checkpoint),
        strict=True,
        revise_keys=[(r'^backbone\.', '')],
    )
    image = cv2.imread(str(weights / 'photos' / 'cat.jpg'))
    image = cv2.resize(image, (227, 227)).astype(np.float32)
    image -= np.array([104, 117, 123], np.float32)
    images = np.ascontiguousarray(image.transpose(2, 0, 1)[None])
    with torch.no_grad():
        scores = net(torch.tensor(images))[0].flatten().softmax(0).numpy()
    names = (weights / 'synset.txt').read_text().splitlines()
    best = np.argsort(scores)[::-1][: len(expected)]
    for i, (name, score) in zip(best, expected.items(), strict=True):
        assert name in names[i]
        assert scores[i] == pytest.approx(score, abs=0.005)

    back = tmp_path / 'back.caffemodel'
    run(tools.to_caffe, checkpoint, back)
    assert_same_blobs(back, source)
    if not hasattr(cv2.dnn, 'readNetFromCaffe'):
        pytest.skip('this OpenCV no longer reads Caffe networks')
    prototxt = weights / folder / 'deploy.prototxt'
    reader = cv2.dnn.readNetFromCaffe(str(prototxt), str(source))
    generator = np.random.default_rng(0)
    for shape in ((1, 3, 227, 227), (2, 3, 163, 210)):
        x = generator.normal(0, 60, shape).astype(np.float32)
        with torch.no_grad():
            found = net(torch.tensor(x))[0].numpy()
        reader.setInput(x)
        reference = reader.forward('pool10')
        assert found.shape == reference.shape
        error = np.abs(found - reference).max() / np.abs(reference).max()
        assert error < 1e-5


def test_script_runs_from_anywhere(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, TOOLS / 'mm_to_caffe.py', '--help'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert '--stream-names' in result.stdout
