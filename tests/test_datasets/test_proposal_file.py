import json
import os
import pickle

import numpy as np
import pytest
import torch
from mmdet.evaluation import DumpProposals
from mmengine.structures import InstanceData

from mmxdistill.datasets import proposal_file
from mmxdistill.datasets.proposal_file import (
    ProposalFile,
    find_proposal_file,
    image_names,
    write_proposals,
)

SETS = [f'set00/V00{i}/visible/I0.jpg' for i in (0, 1)]


def boxes(value, number=2):
    found = np.full((number, 4), value, np.float32)
    found[:, 2:] += 5
    return found, np.linspace(1, 0, number, endpoint=False)


def write(path, **entries):
    """A file as it was written before names could be longer."""
    content = {
        name.replace('__', '/'): dict(bboxes=item[0], scores=item[1])
        for name, item in entries.items()
    }
    path.write_bytes(pickle.dumps(content))
    return path


class TestNames:
    def test_those_of_mmdet_where_they_differ(self):
        paths = ['/x/color/0.png', 'y/color/1.png']
        assert image_names(paths) == ['color/0.png', 'color/1.png']

    def test_more_of_the_path_where_it_takes_more(self):
        assert image_names(SETS) == [
            'V000/visible/I0.jpg',
            'V001/visible/I0.jpg',
        ]

    def test_the_same_image_twice(self):
        names = image_names(['a/b/c.png', 'a/b/c.png', './a/b/c.png'])
        assert names == ['b/c.png'] * 3

    def test_until_the_root(self):
        assert image_names(['/b/c.png', '/a/b/c.png']) == [
            '/b/c.png',
            'a/b/c.png',
        ]


class TestMatch:
    def test_written_and_read(self, tmp_path):
        path = tmp_path / 'p.pkl'
        names = image_names(SETS)
        write_proposals(path, {n: boxes(i) for i, n in enumerate(names, 1)})
        table = ProposalFile(path).table(SETS)
        assert [table[i]['bboxes'][0, 0] for i in (0, 1)] == [1, 2]
        # Moved, with another number of folders above.
        table = ProposalFile(path).table([f'/new/{s}' for s in SETS[::-1]])
        assert table[0]['bboxes'][0, 0] == 2

    def test_two_images_never_share_proposals(self, tmp_path):
        path = write(tmp_path / 'p.pkl', visible__I0__jpg=boxes(1))
        content = {'visible/I0.jpg': dict(bboxes=boxes(1)[0])}
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(ValueError, match='both get') as error:
            ProposalFile(path).match(SETS)
        assert all(name in str(error.value) for name in SETS)
        assert "'V001/visible/I0.jpg'" in str(error.value)
        # A short name beside a long one might mean both.
        content['V000/visible/I0.jpg'] = content['visible/I0.jpg']
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(ValueError, match='both get'):
            ProposalFile(path).match(SETS)
        content['V001/visible/I0.jpg'] = content['visible/I0.jpg']
        path.write_bytes(pickle.dumps(content))
        assert ProposalFile(path).match(SETS) == image_names(SETS)

    def test_nor_do_two_data_sets_of_a_run(self, tmp_path):
        path = tmp_path / 'p.pkl'
        content = {'visible/I0.jpg': dict(bboxes=boxes(1)[0])}
        path.write_bytes(pickle.dumps(content))
        images = [tmp_path / name for name in (*SETS, 'copy/visible/I0.jpg')]
        for image, text in zip(images, ('a', 'b', 'a'), strict=True):
            image.parent.mkdir(parents=True)
            image.write_text(text)
        for image in (images[0], images[0], images[2]):
            ProposalFile(path).match([image])
        with pytest.raises(ValueError, match='both get'):
            ProposalFile(path).match(images[1:2])

    def test_old_files_where_they_are_unambiguous(self, tmp_path):
        path = tmp_path / 'p.pkl'
        content = {'c/0.png': boxes(1)[0], '1.png': boxes(2)[0]}
        path.write_bytes(pickle.dumps(content))
        keys = ProposalFile(path).match(['a/b/c/0.png', 'a/1.png', '2.png'])
        assert keys == ['c/0.png', '1.png', None]

    def test_an_image_under_two_paths(self, tmp_path):
        (tmp_path / 'a').mkdir()
        (tmp_path / 'a/0.png').touch()
        (tmp_path / 'x').mkdir()
        (tmp_path / 'x/a').symlink_to(tmp_path / 'a')
        path = tmp_path / 'p.pkl'
        path.write_bytes(pickle.dumps({'a/0.png': boxes(1)[0]}))
        images = [str(tmp_path / name) for name in ('a/0.png', 'x/a/0.png')]
        assert ProposalFile(path).match(images) == ['a/0.png'] * 2

    def test_folder_that_is_not_known(self, tmp_path):
        path = tmp_path / 'p.pkl'
        content = {'c/0.png': boxes(1)[0], 'd/0.png': boxes(2)[0]}
        content['c/1.png'] = boxes(3)[0]
        path.write_bytes(pickle.dumps(content))
        keys = ProposalFile(path).match(
            ['0.png', '1.png', 'd/0.png'], rooted=False
        )
        assert keys == [None, 'c/1.png', 'd/0.png']

    def test_names_written_on_windows(self, tmp_path):
        path = tmp_path / 'p.pkl'
        path.write_bytes(pickle.dumps({'c\\0.png': boxes(1)[0]}))
        assert ProposalFile(path).match(['a/c/0.png']) == ['c/0.png']


def test_what_mmdet_dumps(tmp_path):
    metric = DumpProposals(str(tmp_path), num_max_proposals=2)
    paths = [f'/data/{name}/0.jpg' for name in ('a', 'b')]
    for number, path in enumerate(paths):
        found = dict(
            bboxes=torch.arange(12.0).reshape(3, 4) + number,
            scores=torch.tensor([0.2, 0.9, 0.5]),
        )
        metric.process({}, [dict(img_path=path, pred_instances=found)])
    metric.evaluate(2)
    file = ProposalFile(tmp_path / 'proposals.pkl')
    assert file.match(paths) == ['a/0.jpg', 'b/0.jpg']
    item = file.boxes('b/0.jpg')
    assert item.bboxes.tolist() == [[5, 6, 7, 8], [9, 10, 11, 12]]
    np.testing.assert_array_equal(item.scores, np.float32([0.9, 0.5]))


class TestLists:
    """Of mmdet 2: in the order of the images, without names."""

    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / 'p.pkl'
        rows = np.array([[1, 1, 9, 9, 0.5], [2, 2, 8, 8, 0.7]])
        path.write_bytes(
            pickle.dumps([rows, rows + np.array([5, 5, 5, 5, 0])])
        )
        return path

    def test_boxes_and_scores(self, path):
        table = ProposalFile(path).table(['a.png', 'b.png'], [(20, 20), None])
        # Sorted: LoadProposals takes the first.
        np.testing.assert_array_equal(
            table[0]['bboxes'], [[2, 2, 8, 8], [1, 1, 9, 9]]
        )
        np.testing.assert_allclose(table[1]['scores'], [0.7, 0.5])

    def test_another_number_of_images(self, path):
        with pytest.raises(ValueError, match='a list of 2 images.*3 images'):
            ProposalFile(path).table(['a', 'b', 'c'])

    def test_boxes_of_another_image(self, path):
        sizes = [(20, 20), (12, 30)]
        with pytest.raises(ValueError, match='leave image number 1, .b.png'):
            ProposalFile(path).table(['a.png', 'b.png'], sizes)

    def test_predictions_have_names(self, tmp_path):
        path = tmp_path / 'p.pkl'
        content = [
            dict(
                img_path=f'data/{name}',
                pred_instances=dict(
                    bboxes=torch.ones(1, 4) * i, scores=torch.ones(1)
                ),
            )
            for i, name in enumerate(SETS)
        ]
        path.write_bytes(pickle.dumps(content))
        table = ProposalFile(path).table([f'data/{s}' for s in SETS[::-1]])
        assert table[0]['bboxes'][0, 0] == 1


class TestContent:
    @pytest.mark.parametrize('kind', [dict, InstanceData])
    def test_boxes(self, tmp_path, kind):
        item = kind(bboxes=np.ones((3, 4)), scores=np.ones(3))
        path = tmp_path / 'p.pkl'
        path.write_bytes(pickle.dumps({'a/b.png': item}))
        found = ProposalFile(path).boxes('a/b.png')
        np.testing.assert_array_equal(found.bboxes, np.ones((3, 4)))
        assert found.bboxes.dtype == found.scores.dtype == np.float32

    def test_json(self, tmp_path):
        path = tmp_path / 'p.JSON'
        path.write_text(json.dumps({'a/b.png': dict(bboxes=[[1, 2, 3, 4]])}))
        table = ProposalFile(path).table(['a/b.png'])
        np.testing.assert_array_equal(table[0]['bboxes'], [[1, 2, 3, 4]])
        np.testing.assert_array_equal(table[0]['scores'], [0])

    @pytest.mark.parametrize(
        ('content', 'message'),
        [
            (b'abc', 'no pickle, or truncated'),
            (pickle.dumps({'a': np.ones(100)})[:-9], 'or truncated'),
            (pickle.dumps(3), 'holds a int, but'),
            (pickle.dumps({1: np.ones((2, 4))}), 'holds a dict, but'),
            (pickle.dumps({'a': os.getcwd}), 'trust_pickle=True'),
        ],
    )
    def test_other_files(self, tmp_path, content, message):
        path = tmp_path / 'p.pkl'
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message) as error:
            ProposalFile(path)
        assert str(path) in str(error.value)
        with pytest.raises(FileNotFoundError, match='none'):
            ProposalFile(tmp_path / 'none.pkl')
        with pytest.raises(ValueError, match=r'neither a pickle'):
            ProposalFile(path.rename(tmp_path / 'p.npz'))

    def test_wrong_entry_is_named(self, tmp_path):
        path = tmp_path / 'p.pkl'
        box = np.float32([[1, 1, 9, 9]])
        content = {
            'a/0.png': np.full((1, 4), np.nan),
            'a/1.png': 'x',
            'a/2.png': dict(bboxes=box, scores=[np.nan]),
            'a/3.png': np.float32([[1, 1, 9, 9], [5, 5, 2, 7]]),
        }
        path.write_bytes(pickle.dumps(content))
        for name, message in (
            ('a/0.png', 'not finite'),
            ('a/1.png', 'a str'),
            ('a/2.png', 'not finite'),
            ('a/3.png', r'is \[5.0, 5.0, 2.0, 7.0\] x, y, width, height'),
        ):
            with pytest.raises(ValueError, match=f"'{name}'.*{message}"):
                ProposalFile(path).table([name])
        with pytest.raises(KeyError, match=r"for 1 of 1.*'b/1\.png'"):
            ProposalFile(path).table(['b/1.png'])


def test_places_of_the_file(tmp_path, monkeypatch):
    config = dict(data_root=str(tmp_path / 'data'), proposal_file='p.pkl')
    assert find_proposal_file(dict(data_root='x')) is None
    with pytest.raises(FileNotFoundError, match='generate_proposals'):
        find_proposal_file(config)
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'p.pkl').touch()
    assert find_proposal_file(config) == 'p.pkl'
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/p.pkl').touch()
    assert find_proposal_file(config) == str(tmp_path / 'data/p.pkl')


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    monkeypatch.setattr(proposal_file, '_taken', {})
