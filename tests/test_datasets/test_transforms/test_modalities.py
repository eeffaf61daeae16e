"""Any data set of mmdet becomes paired by its loader."""

import json
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmdet.datasets.api_wrappers import COCO

from mmxdistill.datasets import checks
from mmxdistill.datasets.checks import check_samples
from mmxdistill.datasets.sample_checks import Sample, check_sample
from mmxdistill.datasets.transforms import LoadModalities
from mmxdistill.registry import DATASETS

COLOUR = [dict(type='LoadImageFromFile')]
GRAY = dict(type='mmxdistill.LoadGrayImageFromFile', channels=1)
SMALL, LARGE = (40, 30), (96, 64)
# Thermal pixels to visible ones: turned, enlarged, in perspective.
MATRIX = np.array([[0.5, 0.03, -3.0], [-0.02, 0.52, 1.0], [2e-4, -1e-4, 1]])
XML = """<annotation><size><width>{}</width><height>{}</height></size>
<object><name>person</name><difficult>0</difficult><bndbox><xmin>{}</xmin>
<ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object></annotation>"""


def image_of_point(matrix, x, y):
    u, v, w = np.linalg.inv(matrix) @ [x, y, 1.0]
    return u / w, v / w


@pytest.fixture
def voc(tmp_path):
    """Visible images with a bright box; a larger thermal camera beside."""
    for folder in ('JPEGImages', 'Thermal', 'Annotations', 'ImageSets/Main'):
        (tmp_path / folder).mkdir(parents=True)
    box = 12, 9, 27, 21  # inclusive corners, from 1
    for name in ('a.1', 'b'):
        visible = np.zeros((*SMALL[::-1], 3), np.uint8)
        visible[8:21, 11:27] = 200
        cv2.imwrite(str(tmp_path / f'JPEGImages/{name}.jpg'), visible)
        corners = [(10.5, 7.5), (26.5, 7.5), (26.5, 20.5), (10.5, 20.5)]
        there = [image_of_point(MATRIX, *corner) for corner in corners]
        thermal = np.zeros(LARGE[::-1], np.uint8)
        points = np.rint(np.array(there) * 256).astype(np.int32)
        cv2.fillConvexPoly(thermal, points, 200, shift=8)
        cv2.imwrite(str(tmp_path / f'Thermal/{name}.png'), thermal)
        (tmp_path / f'Annotations/{name}.xml').write_text(
            XML.format(*SMALL, *box)
        )
    (tmp_path / 'ImageSets/Main/train.txt').write_text('a.1\nb\n')
    (tmp_path / 'rig.json').write_text(json.dumps(MATRIX.tolist()))
    return tmp_path


def xml_data_set(root, *register, then=(), **thermal):
    thermal = thermal or dict(path='{parent}/Thermal/{stem}.png')
    load = dict(
        type='mmxdistill.LoadModalities',
        modalities=dict(
            rgb=COLOUR, thermal=dict(pipeline=[GRAY, *register], **thermal)
        ),
    )
    return DATASETS.build(
        dict(
            type='XMLDataset',
            data_root=str(root),
            ann_file='ImageSets/Main/train.txt',
            data_prefix=dict(sub_data_root=''),
            metainfo=dict(classes=('person',)),
            pipeline=[
                load,
                dict(type='LoadAnnotations', with_bbox=True),
                *then,
            ],
        )
    )


def warp(root):
    return dict(
        type='mmxdistill.WarpToReference', matrix=str(root / 'rig.json')
    )


def test_voc_boxes_hold_the_object_in_both_modalities(voc):
    data = xml_data_set(voc, warp(voc))
    check_samples(data)
    for sample in data:
        assert sample['img'].shape == (*SMALL[::-1], 4)
        assert sample['modality_paths']['thermal'].endswith('Thermal/a.1.png')
        x1, y1, x2, y2 = sample['gt_bboxes'].numpy().astype(int)[0]
        inside = np.zeros(SMALL[::-1], bool)
        inside[y1 : y2 + 1, x1 : x2 + 1] = True
        for channel in (0, 3):
            bright = sample['img'][..., channel] > 100
            assert np.count_nonzero(bright != inside) <= 0.12 * inside.sum()
        break


def test_pairs_are_augmented_together(voc):
    then = [
        dict(type='Rotate', prob=1.0, level=5),
        dict(type='Resize', scale=(80, 60)),
        dict(type='Pad', size_divisor=32),
        dict(type='PackDetInputs'),
    ]
    out = xml_data_set(voc, warp(voc), then=then)[1]
    colour, thermal = out['inputs'][0].numpy(), out['inputs'][3].numpy()
    assert out['inputs'].shape == (4, 64, 96)
    assert np.mean((colour > 100) != (thermal > 100)) < 0.03


def test_other_sizes_need_registration(voc):
    data = xml_data_set(voc)
    with pytest.raises(ValueError, match=r'2 of 2.*\n.*40x30.*96x64.*Warp'):
        check_samples(data)


def test_missing_partners_and_wrong_records_are_listed(voc):
    (voc / 'Thermal/a.1.png').unlink()
    (voc / 'Annotations/b.xml').write_text(XML.format(*LARGE, 1, 1, 9, 9))
    with pytest.raises(ValueError, match='2 of 2') as error:
        check_samples(xml_data_set(voc, warp(voc)))
    assert error.match(r"FileNotFoundError: '.*Thermal/a\.1\.png'")
    assert error.match(r"b\.jpg' is 40x30, but its record .* says 96x64")


def test_crowdhuman_and_lvis(voc, monkeypatch):
    """Their readers name the image; only the loader changes."""
    load = dict(
        type='mmxdistill.LoadModalities',
        modalities=dict(
            rgb=COLOUR,
            thermal=dict(
                path='{parent}/Thermal/{stem}.png', pipeline=[GRAY, warp(voc)]
            ),
        ),
    )
    box = [11, 8, 16, 13]
    found = dict(tag='person', fbox=box, hbox=box, vbox=box)
    (voc / 'train.odgt').write_text(json.dumps(dict(ID='b', gtboxes=[found])))
    content = dict(
        images=[dict(id=1, coco_url='b.jpg', width=SMALL[0], height=SMALL[1])],
        annotations=[
            dict(id=1, image_id=1, category_id=1, bbox=box, area=9, iscrowd=0)
        ],
        categories=[dict(id=1, name='aerosol_can')],
    )
    (voc / 'lvis.json').write_text(json.dumps(content))
    # The package that LVIS is read by has the methods of mmdet's COCO.
    monkeypatch.setitem(sys.modules, 'lvis', SimpleNamespace(LVIS=COCO))
    for kind, file in (
        ('CrowdHumanDataset', 'train.odgt'),
        ('LVISV1Dataset', 'lvis.json'),
    ):
        data = DATASETS.build(
            dict(
                type=kind,
                data_root=str(voc),
                ann_file=file,
                data_prefix=dict(img='JPEGImages'),
                pipeline=[load, dict(type='LoadAnnotations', with_bbox=True)],
            )
        )
        check_samples(data)
        (sample,) = data
        assert sample['img'].shape == (*SMALL[::-1], 4)
        assert sample['gt_bboxes'].numpy().tolist() == [[11, 8, 27, 21]]
        assert sample['img'][10:18, 14:24].min() > 100


def test_wrong_records_are_refused_when_loaded(voc):
    """Without the check before a run, which mmdet's data sets do not have."""
    (voc / 'Annotations/b.xml').write_text(XML.format(*LARGE, 1, 1, 9, 9))
    data = xml_data_set(voc, warp(voc))
    assert data[0]['img'].shape[2] == 4
    with pytest.raises(ValueError, match=r"b\.jpg' is 40x30, but its record"):
        data[1]


@pytest.mark.parametrize(
    ('old', 'new'),
    [
        ('<name>person</name>', ''),
        ('<bndbox>', '<box>'),
        ('<xmin>1<', '<xmin>inf<'),
        ('<width>40</width>', '<width/>'),
        ('</annotation>', ''),
    ],
)
def test_wrong_voc_xml_is_named(voc, old, new):
    text = XML.format(*SMALL, 1, 1, 9, 9)
    assert old in text
    text = text.replace('</bndbox>', '</box>') if new == '<box>' else text
    (voc / 'Annotations/b.xml').write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=r"b\.xml' cannot be read as VOC"):
        xml_data_set(voc)


def test_stock_loader_takes_no_damaged_file(voc, tmp_path):
    """OpenCV fills with grey, or allocates what a length says."""
    data = xml_data_set(voc, warp(voc))
    path = voc / 'JPEGImages/b.jpg'
    content = path.read_bytes()
    path.write_bytes(content[:-40])
    with pytest.raises(ValueError, match=r"b\.jpg' is no image any more"):
        data[1]
    large = content.find(b'\xff\xc0') + 5  # height and width of the frame
    path.write_bytes(content[:large] + b'\x75\x30' * 2 + content[large + 4 :])
    with pytest.raises(ValueError, match=r"b\.jpg' declares more than 100"):
        data[1]
    _, content = cv2.imencode('.png', np.zeros((30, 40, 3), np.uint8))
    content = content.tobytes()
    at = content.find(b'IDAT') - 4
    png = tmp_path / 'a.png'
    png.write_bytes(content[:at] + b'\x30' + content[at + 1 :])
    load = LoadModalities(dict(rgb=COLOUR))
    with pytest.raises(ValueError, match=r"a\.png' is no image any more"):
        load(dict(img_path=str(png)))


def test_check_dataset_knows_registration(voc):
    data = xml_data_set(voc, warp(voc))
    loader = data.pipeline.transforms[0]
    info = data.get_data_info(1)
    boxes = np.array([[1.0, 1, 9, 9]])
    assert not check_sample(Sample('b', info, loader, boxes)).problems
    outside = {**warp(voc), 'matrix': [[1, 0, 500], [0, 1, 0]]}
    loader = xml_data_set(voc, outside).pipeline.transforms[0]
    found = check_sample(Sample('b', info, loader, boxes)).problems
    assert found[0][0] == 'size mismatch'
    assert 'reaches 0.0%' in found[0][1]
    loader = xml_data_set(voc).pipeline.transforms[0]
    found = check_sample(Sample('b', info, loader, boxes)).problems
    assert found[0][0] == 'size mismatch'


@pytest.mark.parametrize(
    ('spec', 'expected'),
    [
        ('{dir}/{stem}.t.png', 'data/set/visible/a.b.t.png'),
        ('{parent}/thermal/{name}', 'data/set/thermal/a.b.jpg'),
        ('{parent}/{stem}{suffix}', 'data/set/a.b.jpg'),
        (dict(replace=('visible', 'ir')), 'data/set/ir/a.b.jpg'),
        (
            dict(replace=[['visible', 'ir'], ['.jpg', '.tif']]),
            'data/set/ir/a.b.tif',
        ),
    ],
)
def test_templates(spec, expected):
    spec = dict(path=spec) if isinstance(spec, str) else spec
    load = LoadModalities(
        dict(rgb=COLOUR, other=dict(pipeline=[GRAY], **spec))
    )
    paths = load.paths(dict(img_path='data/set/visible/a.b.jpg'))
    assert paths == dict(rgb='data/set/visible/a.b.jpg', other=expected)
    # A file in the working directory has a folder, too.
    assert load.paths(dict(img_path='visible/a.b.jpg'))


def test_files_that_another_modality_asks_for(tmp_path):
    depth = np.full((4, 5), 2000, np.uint16)
    for name in ('depth', 'raw'):
        cv2.imwrite(str(tmp_path / f'{name}.png'), depth)
        depth[0] = 0
    load = LoadModalities(
        dict(
            depth=[dict(type='mmxdistill.LoadDepthFromFile', mask='raw')],
            raw='{dir}/raw.png',
        )
    )
    out = load(dict(img_path=str(tmp_path / 'depth.png')))
    assert out['modalities'] == ('depth',)
    assert out['img'].shape == (4, 5, 1)


@pytest.mark.parametrize(
    ('spec', 'message'),
    [
        (
            dict(path='{folder}/a.png'),
            r"'folder'.*\{dir\}, \{parent\}, \{name",
        ),
        (dict(path='{0}/a.png'), r'asks for .*\{stem\}'),
        (dict(path='a', replace=('a', 'b')), 'either path='),
        (dict(replace=('a',)), "replace is .'old'"),
        (dict(replace=('', 'b')), "replace is .'old'"),
        (dict(file='a'), r"has \['file'\]; it takes path, replace"),
    ],
)
def test_wrong_templates_are_refused_when_built(spec, message):
    with pytest.raises(ValueError, match=message):
        LoadModalities(dict(a=COLOUR, b=dict(pipeline=[GRAY], **spec)))


def test_what_is_to_be_replaced_must_be_there():
    load = LoadModalities(
        dict(a=COLOUR, b=dict(pipeline=[GRAY], replace=('visible', 'ir')))
    )
    with pytest.raises(ValueError, match="no 'visible' in 'data/rgb/a.jpg'"):
        load.paths(dict(img_path='data/rgb/a.jpg'))


def test_the_reference_stays_as_it_is(voc):
    with pytest.raises(ValueError, match="'thermal' comes first.*WarpTo"):
        LoadModalities(dict(thermal=[GRAY, warp(voc)], rgb=COLOUR))


def test_pipelines_begin_with_a_loader(voc):
    for steps in ([], [warp(voc), GRAY]):
        thermal = dict(path='{stem}.png', pipeline=steps)
        with pytest.raises(ValueError, match="'thermal'.* must begin with"):
            LoadModalities(dict(rgb=COLOUR, thermal=thermal))


def test_a_registered_modality_alone(voc):
    data = xml_data_set(voc, warp(voc))
    both = data[1]['img']
    info = data.get_data_info(1)
    alone = data.pipeline.transforms[0]({**info, 'modalities': ('thermal',)})
    np.testing.assert_array_equal(alone['img'], both[..., 3:])


def optional(voc, *register):
    thermal = dict(path='{parent}/Thermal/{stem}.png', missing_channels=1)
    return xml_data_set(voc, *register, **thermal)


def test_samples_may_lack_a_modality(voc, monkeypatch):
    said = []
    monkeypatch.setattr(checks, 'print_log', lambda t, *a, **k: said.append(t))
    (voc / 'Thermal/b.png').unlink()
    data = optional(voc, warp(voc))
    check_samples(data)
    assert "'thermal' lacks 1 of 2 files" in said[0]
    both, alone = data[0], data[1]
    assert 'missing_modalities' not in both and both['img'][..., 3].any()
    assert alone['missing_modalities'] == ('thermal',)
    assert alone['img'].shape == both['img'].shape
    assert alone['img'][..., :3].any() and not alone['img'][..., 3].any()
    loader = data.pipeline.transforms[0]
    boxes = np.array([[1.0, 1, 9, 9]])
    sample = Sample('b', data.get_data_info(1), loader, boxes)
    assert not check_sample(sample).problems
    (voc / 'Thermal/a.1.png').unlink()
    with pytest.raises(ValueError, match='lacks 2 of 2 files.*is its path'):
        check_samples(data)


def test_a_modality_that_boxes_or_others_need(voc):
    (voc / 'JPEGImages/b.jpg').unlink()
    data = xml_data_set(voc, warp(voc))
    info = data.get_data_info(1)
    load = dict(path='{parent}/Thermal/{stem}.png', missing_channels=1)
    colour = dict(pipeline=COLOUR, missing_channels=3)
    thermal = dict(pipeline=[GRAY, warp(voc)], **load)
    with pytest.raises(FileNotFoundError, match=r"\['thermal'\] is regist"):
        LoadModalities(dict(rgb=colour, thermal=thermal))(dict(info))
    (voc / 'Thermal/b.png').unlink()
    both = LoadModalities(dict(rgb=colour, thermal=thermal))
    for method in (both.check, both.transform):
        with pytest.raises(FileNotFoundError, match=r'missing: .*b.jpg.*b.pn'):
            method(dict(info))


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('alone', [True, False])
@pytest.mark.parametrize('in_memory', [True, False])
def test_a_repeated_channel_is_one_of_its_own(
    tmp_path, channels, alone, in_memory
):
    rng = np.random.default_rng(0)
    thermal = rng.integers(0, 256, (9, 12), np.uint8)
    files = [str(tmp_path / name) for name in ('rgb.png', 'thermal.png')]
    for file in files:
        cv2.imwrite(file, thermal)
    pipelines = dict(rgb=COLOUR, thermal=[{**GRAY, 'channels': channels}])
    paths = dict(zip(pipelines, files, strict=True))
    if alone:
        del pipelines['rgb'], paths['rgb']
    load = LoadModalities(pipelines)
    sample: dict = dict(img_path=files[0], modality_paths=paths)
    if in_memory:
        sample['modality_images'] = dict.fromkeys(paths, thermal)
    before = thermal.copy()
    image = load(sample)['img']
    expected = np.repeat(thermal[..., None], image.shape[2], axis=2)
    np.testing.assert_array_equal(image, expected)
    image[..., -1] = 7  # as CutOut would; the others stay
    np.testing.assert_array_equal(image[..., :-1], expected[..., :-1])
    assert (image[..., -1] == 7).all()
    np.testing.assert_array_equal(thermal, before)
