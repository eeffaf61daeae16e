import itertools
import json
import pickle

import cv2
import numpy as np
import pytest
from mmdet.datasets import AspectRatioBatchSampler
from mmdet.datasets import ConcatDataset as MmdetConcatDataset
from mmengine.dataset import ConcatDataset

from mmxdistill.datasets import (
    DrawIndex,
    PairedCocoDataset,
    PairedDataset,
    ResumableInfiniteSampler,
)
from mmxdistill.registry import DATASETS

MODALITIES = dict(rgb='color/{stem}.jpg', hha='depth/{stem}.png')
LOAD = dict(
    type='mmxdistill.LoadModalities',
    modalities=dict(
        rgb=[dict(type='LoadImageFromFile')],
        hha=[dict(type='mmxdistill.LoadDepthFromFile')],
    ),
)


@pytest.fixture
def root(tmp_path):
    """Three pairs of 8x6 images."""
    rng = np.random.default_rng(0)
    for folder in ('color', 'depth'):
        (tmp_path / folder).mkdir()
    for name in 'abc':
        image = rng.integers(0, 255, (6, 8, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f'color/{name}.jpg'), image)
        depth = rng.integers(500, 5000, (6, 8)).astype(np.uint16)
        cv2.imwrite(str(tmp_path / f'depth/{name}.png'), depth)
    return tmp_path


def build(root, **kwargs):
    kwargs = {'pipeline': [LOAD], **kwargs}
    return DATASETS.build(
        dict(
            type='mmxdistill.PairedDataset',
            data_root=str(root),
            modalities=MODALITIES,
            **kwargs,
        )
    )


def test_pairs_from_folders(root):
    data = build(root)
    assert len(data) == 3
    sample = data[1]
    assert sample['img'].shape == (6, 8, 4)
    assert sample['img_path'].endswith('color/b.jpg')
    np.testing.assert_array_equal(
        sample['img'][..., 3],
        cv2.imread(str(root / 'depth/b.png'), cv2.IMREAD_UNCHANGED),
    )


def test_pairs_from_a_list(root):
    (root / 'list.txt').write_text('# comment\nc.jpg\n\na.jpg\n')
    data = build(root, ann_file='list.txt')
    stems = [data.get_data_info(i)['img_path'][-5] for i in range(len(data))]
    assert stems == ['c', 'a']


def test_several_lists(root):
    (root / 'list.txt').write_text('c\n')
    (root / 'coco.json').write_text(
        json.dumps(dict(images=[dict(id=1, file_name='a.jpg')]))
    )
    data = build(root, ann_file=['list.txt', 'coco.json'])
    stems = [data.get_data_info(i)['img_path'][-5] for i in range(len(data))]
    assert stems == ['c', 'a']
    with pytest.raises(FileNotFoundError, match=r'gone\.txt'):
        build(root, ann_file=['list.txt', 'gone.txt'])


def test_loaders_of_the_modalities(root):
    """Paths and loaders in one place, in front of the pipeline."""
    data = PairedDataset(
        data_root=str(root),
        modalities=dict(
            rgb=dict(
                path='color/{stem}.jpg',
                pipeline=[dict(type='LoadImageFromFile')],
            ),
            hha=dict(
                path='depth/{stem}.png',
                pipeline=[
                    dict(type='mmxdistill.LoadDepthFromFile', mask='raw')
                ],
            ),
            raw='depth/{stem}.png',
        ),
        use=['hha'],
        pipeline=[dict(type='RandomFlip', prob=1.0)],
    )
    sample = data[0]
    assert sample['modalities'] == ('hha',) and sample['flip']
    depth = cv2.imread(str(root / 'depth/a.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(sample['img'][..., 0], depth[:, ::-1])
    assert sample['img_path'].endswith('color/a.jpg')


def test_pairs_from_columns(root):
    (root / 'list.txt').write_text('a.jpg b.png\n')
    data = PairedDataset(
        data_root=str(root),
        ann_file='list.txt',
        modalities=dict(rgb='color/{0}', hha='depth/{1}'),
        pipeline=[],
    )
    paths = data.get_data_info(0)['modality_paths']
    assert paths['hha'].endswith('depth/b.png')


def test_one_coco_file_per_modality(root):
    records = dict(
        rgb=[dict(id=7, file_name='a.jpg')], hha=[dict(id=7, file_name='c.x')]
    )
    for name, images in records.items():
        (root / f'{name}.json').write_text(json.dumps(dict(images=images)))
    data = PairedDataset(
        data_root=str(root),
        ann_file='rgb.json',
        modalities=dict(
            rgb='color/{file_name}',
            hha=dict(path='depth/{stem}.png', ann_file='hha.json'),
        ),
        pipeline=[],
    )
    assert data.get_data_info(0)['modality_paths']['hha'].endswith('c.png')


def test_missing_partner_in_a_folder(root):
    (root / 'depth/b.png').unlink()
    with pytest.raises(FileNotFoundError, match=r"'hha'.*lacks 1.*'b'"):
        build(root)


def test_all_bad_pairs_are_found_before_training(root):
    (root / 'list.txt').write_text('a\nb\nc\nd\n')
    cv2.imwrite(str(root / 'depth/a.png'), np.full((6, 8), 7, np.uint8))
    cv2.imwrite(str(root / 'depth/b.png'), np.full((6, 9), 7, np.uint16))
    cv2.imwrite(str(root / 'depth/c.png'), np.zeros((6, 8), np.uint16))
    with pytest.raises(ValueError, match='4 of 4 samples') as error:
        build(root, ann_file='list.txt')
    message = str(error.value)
    assert 'a.png' in message and 'uint8' in message
    assert 'b.png' in message and '9x6' in message
    assert 'c.png' in message and 'no measured pixel' in message
    assert 'd.jpg' in message
    build(root, ann_file='list.txt', check_pairs=False)


def test_truncated_image_is_named(root):
    content = (root / 'depth/a.png').read_bytes()
    (root / 'depth/a.png').write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r'a\.png'):
        build(root)


def test_unknown_template_field(root):
    (root / 'list.txt').write_text('a')
    with pytest.raises(KeyError, match=r"'hha' asks for 'nope'"):
        PairedDataset(
            data_root=str(root),
            modalities=dict(rgb='color/{stem}.jpg', hha='depth/{stem}.{nope}'),
            ann_file='list.txt',
            pipeline=[],
        )


def test_random_augmentation_depends_on_the_draw_alone(root):
    flip = dict(type='RandomFlip', prob=0.5)
    data = build(root, pipeline=[LOAD, flip])
    both = ConcatDataset([data, build(root, pipeline=[LOAD, flip])])
    flips = [data[DrawIndex(1, seed)]['flip'] for seed in range(20)]
    assert set(flips) == {True, False}
    again = [both[DrawIndex(4, seed)]['flip'] for seed in range(20)]
    assert flips == again


class Boxes:
    bboxes = np.ones((1, 4))


def test_case_of_suffixes(root):
    (root / 'color/b.jpg').rename(root / 'color/b.JPG')
    data = build(root)
    assert len(data) == 3
    assert data.get_data_info(1)['img_path'].endswith('color/b.JPG')
    (root / 'list.json').write_text(
        json.dumps(dict(images=[dict(id=1, file_name='a.JPG')]))
    )
    (root / 'list.json').rename(root / 'list.JSON')
    data = build(root, ann_file='list.JSON')
    assert data.get_data_info(0)['img_path'].endswith('color/a.jpg')


@pytest.mark.parametrize('by_list', [False, True])
def test_names_with_dots(root, by_list):
    """As of TUM, whose names are times: 1305031453.359684.png."""
    names = ['a', 'a.1', 'a.b', '1305031453.359684', '1305031453.359692']
    for name in names[1:]:
        for folder, suffix in (('color', 'jpg'), ('depth', 'png')):
            source = root / folder / f'a.{suffix}'
            (root / folder / f'{name}.{suffix}').write_bytes(
                source.read_bytes()
            )
    for name in 'bc':
        (root / f'color/{name}.jpg').unlink()
        (root / f'depth/{name}.png').unlink()
    (root / 'list.txt').write_text('\n'.join(names))
    data = build(root, ann_file='list.txt' if by_list else '')
    paths = [data.get_data_info(i)['modality_paths'] for i in range(5)]
    assert sorted(path['rgb'] for path in paths) == sorted(
        f'{root}/color/{name}.jpg' for name in names
    )
    for path in paths:
        assert path['hha'] == path['rgb'].replace('color', 'depth').replace(
            'jpg', 'png'
        )


def test_size_for_batches_of_one_orientation(root):
    tall = np.zeros((8, 6, 3), np.uint8)
    cv2.imwrite(str(root / 'color/b.jpg'), tall)
    cv2.imwrite(str(root / 'depth/b.png'), np.ones((8, 6), np.uint16))
    sampler = AspectRatioBatchSampler(
        ResumableInfiniteSampler(build(root), shuffle=False), batch_size=2
    )
    batches = list(itertools.islice(sampler, 3))
    assert batches == [[0, 2], [1, 1], [0, 2]]


def test_empty_file_is_named(root):
    (root / 'color/b.jpg').write_bytes(b'')
    with pytest.raises(ValueError, match=r'1 of 3.*\n.*color/b\.jpg'):
        build(root)


class TestCoco:
    @pytest.fixture
    def annotated(self, root):
        (root / 'ann.json').write_text(
            json.dumps(
                dict(
                    images=[
                        dict(
                            id=i,
                            file_name=f'{n}.jpg',
                            depth=f'{n}.png',
                            width=8,
                            height=6,
                        )
                        for i, n in enumerate('abc')
                    ],
                    annotations=[
                        dict(
                            id=1,
                            image_id=0,
                            category_id=9,
                            bbox=[1, 1, 4, 3],
                            area=12,
                            iscrowd=0,
                        )
                    ],
                    categories=[
                        dict(id=3, name='lamp'),
                        dict(id=9, name='box'),
                    ],
                )
            )
        )
        return root

    def build(self, root, classes=('lamp', 'box'), **kwargs):
        return PairedCocoDataset(
            data_root=str(root),
            ann_file='ann.json',
            metainfo=dict(classes=classes),
            modalities=dict(rgb='color/{file_name}', hha='depth/{depth}'),
            pipeline=[],
            **kwargs,
        )

    def test_boxes_and_paths(self, annotated):
        info = self.build(annotated).get_data_info(0)
        assert info['instances'][0]['bbox_label'] == 1
        assert info['modality_paths']['hha'].endswith('depth/a.png')

    @pytest.mark.parametrize(
        ('classes', 'message'),
        [
            (('lamp', 'sofa'), r"\['sofa'\].*not categories"),
            (('box', 'lamp'), 'must follow the order'),
        ],
    )
    def test_class_list_that_does_not_fit(self, annotated, classes, message):
        with pytest.raises(ValueError, match=message):
            self.build(annotated, classes)

    def test_mixed_with_pairs_without_labels(self, annotated, root):
        parts = [build(root), self.build(annotated)]
        for datasets in (parts, parts[::-1]):
            mixed = MmdetConcatDataset(datasets)
            assert len(mixed) == sum(map(len, parts))

    def test_proposals(self, annotated):
        boxes = dict(
            bboxes=np.ones((2, 4), np.float32), scores=np.ones(2, np.float32)
        )
        # More images than the data set has: one file serves all splits.
        content = {f'color/{n}.jpg': boxes for n in 'abcd'}
        (annotated / 'p.pkl').write_bytes(pickle.dumps(content))
        data = self.build(annotated, proposal_file='p.pkl')
        assert data.get_data_info(2)['proposals']['bboxes'].shape == (2, 4)

    def test_image_without_proposals(self, annotated):
        (annotated / 'p.pkl').write_bytes(pickle.dumps({'color/a.jpg': {}}))
        with pytest.raises(KeyError, match=r'2\s+of 3 images.*color/b'):
            self.build(annotated, proposal_file='p.pkl')

    def test_two_images_never_share_proposals(self, annotated):
        """Sequences often have folders and files of the same names."""
        content = json.loads((annotated / 'ann.json').read_text())
        for image, folder in zip(content['images'], 'xyz', strict=True):
            path = annotated / folder / 'color/0.jpg'
            path.parent.mkdir(parents=True)
            (annotated / 'color' / image['file_name']).rename(path)
            image['file_name'] = f'../{folder}/color/0.jpg'
        (annotated / 'ann.json').write_text(json.dumps(content))
        boxes = dict(bboxes=np.ones((2, 4), np.float32))
        path = annotated / 'p.pkl'
        path.write_bytes(pickle.dumps({'color/0.jpg': boxes}))
        with pytest.raises(ValueError, match=r'x/color/0.*y/color/0'):
            self.build(annotated, proposal_file='p.pkl')

    def test_proposals_follow_their_images(self, annotated):
        content = {
            f'color/{name}.jpg': dict(
                bboxes=np.full((2, 4), number, np.float32)
            )
            for number, name in enumerate('abc')
        }
        (annotated / 'p.pkl').write_bytes(pickle.dumps(content))
        kwargs = dict(proposal_file='p.pkl', indices=[2, 0])
        for serialize in (True, False):
            data = self.build(annotated, serialize_data=serialize, **kwargs)
            found = [data.get_data_info(i)['proposals'] for i in (0, 1)]
            assert [item['bboxes'][0, 0] for item in found] == [2, 0]
            part = data.get_subset([1])
            found = part.get_data_info(0)['proposals']['bboxes']
            assert found[0, 0] == 0
        only = dict(filter_cfg=dict(filter_empty_gt=True))
        data = self.build(annotated, proposal_file='p.pkl', **only)
        assert len(data) == 1
        data = pickle.loads(pickle.dumps(data))  # as a worker gets it
        assert data.get_data_info(0)['proposals']['bboxes'][0, 0] == 0

    def test_code_in_a_proposal_file(self, annotated):
        content = {f'color/{n}.jpg': Boxes for n in 'abc'}
        (annotated / 'p.pkl').write_bytes(pickle.dumps(content))
        with pytest.raises(ValueError, match='Boxes.*trust_pickle=True'):
            self.build(annotated, proposal_file='p.pkl')
        data = self.build(annotated, proposal_file='p.pkl', trust_pickle=True)
        assert data.get_data_info(0)['proposals']['bboxes'].shape == (1, 4)

    def test_annotation_file_is_parsed_once(self, annotated, monkeypatch):
        parsed = []
        loads = json.loads

        def count(text, **kwargs):
            parsed.append(loads(text, **kwargs))
            return parsed[-1]

        monkeypatch.setattr(json, 'loads', count)
        monkeypatch.setattr(json, 'load', pytest.fail)
        self.build(annotated)
        assert len(parsed) == 1

    @pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16'])
    def test_annotation_file_with_a_mark(self, annotated, encoding):
        path = annotated / 'ann.json'
        path.write_text(path.read_text(), encoding=encoding)
        assert len(self.build(annotated)) == 3

    def test_class_list_of_one_string(self, annotated):
        with pytest.raises(ValueError, match=r"classes=\('lamp',\)"):
            self.build(annotated, 'lamp')

    def test_size_and_area_that_are_missing(self, annotated):
        content = json.loads((annotated / 'ann.json').read_text())
        del content['images'][0]['width']
        del content['annotations'][0]['area']
        (annotated / 'ann.json').write_text(json.dumps(content))
        info = self.build(annotated).get_data_info(0)
        assert (info['width'], info['height']) == (8, 6)
        assert len(info['instances']) == 1
        (annotated / 'color/a.jpg').write_bytes(b'')
        with pytest.raises(ValueError, match=r'ann\.json.*image 0.*no width'):
            self.build(annotated)

    def test_record_without_file_name(self, annotated):
        content = json.loads((annotated / 'ann.json').read_text())
        del content['images'][1]['file_name']
        (annotated / 'ann.json').write_text(json.dumps(content))
        with pytest.raises(KeyError, match="'file_name', but.*image id 1"):
            self.build(annotated)

    def test_missing_proposal_file(self, annotated):
        with pytest.raises(FileNotFoundError, match='generate_proposals'):
            self.build(annotated, proposal_file='q.pkl')

    def test_unknown_modality_in_use(self, annotated):
        with pytest.raises(ValueError, match=r"\['flow'\]"):
            self.build(annotated, use=['flow'])


@pytest.fixture
def two_box_files(root):
    """Two modalities, each annotated by itself."""
    for name, folder, suffix, x in (
        ('rgb', 'color', 'jpg', 1),
        ('depth', 'depth', 'png', 3),
    ):
        write_coco(root, name, folder, suffix, x)
    return dict(
        type='mmxdistill.PairedCocoDataset',
        data_root=str(root),
        ann_file='rgb.json',
        metainfo=dict(classes=('thing',)),
        modalities=dict(
            rgb=dict(
                path='{file_name}', pipeline=[dict(type='LoadImageFromFile')]
            ),
            depth=dict(
                path='{file_name}',
                ann_file='depth.json',
                pipeline=[dict(type='mmxdistill.LoadDepthFromFile')],
            ),
        ),
        pipeline=[],
    )


def write_coco(root, name, folder, suffix, x, size=(8, 6)):
    images, boxes = [], []
    for number, stem in enumerate('abc'):
        images.append(
            dict(
                id=number,
                file_name=f'{folder}/{stem}.{suffix}',
                width=size[0],
                height=size[1],
            )
        )
        boxes.append(
            dict(
                id=number + 1,
                image_id=number,
                category_id=1,
                bbox=[x, 1, 3, 3],
                area=9,
                iscrowd=0,
            )
        )
    (root / f'{name}.json').write_text(
        json.dumps(
            dict(
                images=images,
                annotations=boxes,
                categories=[dict(id=1, name='thing')],
            )
        )
    )


def test_boxes_of_the_modality_that_is_asked_for(two_box_files):
    for boxes, x in ((None, 1), ('depth', 3)):
        data = DATASETS.build(dict(two_box_files, boxes=boxes))
        info = data.get_data_info(2)
        assert info['instances'][0]['bbox'] == [x, 1, x + 3, 4]
        assert data[2]['img'].shape == (6, 8, 4)
        assert info['img_path'].endswith('color/c.jpg')
        assert info['modality_paths']['depth'].endswith('depth/c.png')
    assert data.ann_file.endswith('depth.json')


def test_boxes_of_no_or_a_moved_modality_are_refused(two_box_files, root):
    for boxes in ('thermal', 'rgb'):
        with pytest.raises(ValueError, match=f"boxes='{boxes}' must be one"):
            DATASETS.build(dict(two_box_files, boxes=boxes))
    with pytest.raises(ValueError, match="no ann_file: .*or boxes='rgb'"):
        DATASETS.build(dict(two_box_files, ann_file=''))
    moved = dict(type='mmxdistill.ResizeToReference')
    two_box_files['modalities']['depth']['pipeline'].append(moved)
    DATASETS.build(two_box_files)
    with pytest.raises(ValueError, match="registered onto 'rgb'.*'depth' fir"):
        DATASETS.build(dict(two_box_files, boxes='depth'))


def test_boxes_drawn_at_another_size_are_refused(two_box_files, root):
    write_coco(root, 'depth', 'depth', 'png', 3, size=(16, 12))
    with pytest.raises(
        ValueError, match=r'is 8x6, but its record.*says 16x12'
    ):
        DATASETS.build(dict(two_box_files, boxes='depth'))
