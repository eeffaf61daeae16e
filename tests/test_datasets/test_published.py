import pytest
from mmdet.registry import DATASETS
from mmdet.structures.bbox import get_box_tensor
from tiny_data import ACTION, STEMS, write_images

from mmxdistill.classes import UCF101_CLASSES


def build(root, video):
    write_images(root, f'frames/{video}/{{}}.png', f'flow/{video}/{{}}.png')
    (root / 'list.txt').write_text('\n'.join(f'{video}/{s}' for s in STEMS))
    load = [dict(type='LoadImageFromFile')]
    return DATASETS.build(
        dict(
            type='mmxdistill.UCF101Dataset',
            data_root=str(root),
            ann_file='list.txt',
            modalities=dict(
                rgb=dict(path='frames/{0}.png', pipeline=load),
                flow=dict(path='flow/{0}.png', pipeline=load),
            ),
            use=['flow'],
            pipeline=[
                dict(type='LoadProposals'),
                dict(type='LoadAnnotations', with_bbox=True),
                dict(type='PackDetInputs'),
            ],
        )
    )


def test_action_is_that_of_the_whole_image(tmp_path):
    assert len(UCF101_CLASSES) == len(set(UCF101_CLASSES)) == 101
    assert list(UCF101_CLASSES) == sorted(UCF101_CLASSES, key=str.lower)
    sample = build(tmp_path, ACTION)[2]
    height, width = sample['inputs'].shape[1:]
    truth = sample['data_samples'].gt_instances
    assert truth.labels.tolist() == [2]  # Archery
    for boxes in (truth.bboxes, sample['data_samples'].proposals.bboxes):
        assert get_box_tensor(boxes).tolist() == [[0, 0, width, height]]


def test_folder_that_is_no_action(tmp_path):
    with pytest.raises(ValueError, match="'clap' is no action of UCF101"):
        build(tmp_path, 'clap/video')
