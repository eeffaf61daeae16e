import json

import pytest

from mmxdistill.datasets.modality_paths import ModalityPaths

TEMPLATES = dict(rgb='color/{stem}.jpg', x='depth/{stem}.png')


@pytest.fixture
def touch(tmp_path):
    def _touch(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    return _touch


def listed(root, text, **templates):
    (root / 'list.txt').write_text(text)
    paths = ModalityPaths(templates or TEMPLATES, str(root))
    return [
        [p.removeprefix(f'{root}/') for p in sample.values()]
        for sample in paths.of_list(root / 'list.txt')
    ]


def folders(root, **templates):
    samples = ModalityPaths(templates or TEMPLATES, str(root)).of_folders()
    return [
        [p.removeprefix(f'{root}/') for p in sample.values()]
        for sample in samples
    ]


class TestStem:
    @pytest.mark.parametrize(
        ('name', 'stem'),
        [
            ('a', 'a'),
            ('x/a.jpg', 'a'),
            ('a.JPG', 'a'),
            ('a.1.tif', 'a.1'),
            ('a.1', 'a.1'),
            ('1305031453.359684', '1305031453.359684'),
            ('1305031453.359684.png', '1305031453.359684'),
            ('a.left', 'a'),
        ],
    )
    def test_what_is_not_on_the_disk(self, tmp_path, name, stem):
        assert listed(tmp_path, name) == [
            [f'color/{stem}.jpg', f'depth/{stem}.png']
        ]

    @pytest.mark.parametrize('name', ['a.left', 'a.1'])
    def test_the_disk_decides_about_unknown_endings(
        self, tmp_path, touch, name
    ):
        touch('color/a.jpg', 'depth/a.png')
        assert listed(tmp_path, name) == [['color/a.jpg', 'depth/a.png']]
        touch(f'color/{name}.jpg', f'depth/{name}.png')
        assert listed(tmp_path, name) == [
            [f'color/{name}.jpg', f'depth/{name}.png']
        ]

    def test_one_decision_for_all_modalities(self, tmp_path, touch):
        """Else the frame of one scene is paired with that of another."""
        touch('color/a.1.jpg', 'depth/a.png')
        assert listed(tmp_path, 'a.1') == [['color/a.1.jpg', 'depth/a.1.png']]


class TestList:
    def test_names_with_blanks(self, tmp_path, touch):
        with pytest.raises(ValueError, match="is 'cam 2.jpg' one name or 2"):
            listed(tmp_path, 'cam 2.jpg')
        expected = [['color/cam 2.jpg', 'depth/cam 2.png']]
        assert listed(tmp_path, '"cam 2.jpg"') == expected
        assert listed(tmp_path, 'cam 2.jpg\tcam 2.png') == expected

    def test_stems_with_blanks(self, tmp_path, touch):
        touch('color/cam.jpg', 'depth/cam.png')
        expected = [['color/cam.jpg', 'depth/cam.png']]
        assert listed(tmp_path, 'cam 2') == expected
        touch('color/cam 2.jpg', 'depth/cam 2.png')
        with pytest.raises(ValueError, match="is 'cam 2' one name or 2"):
            listed(tmp_path, 'cam 2')
        assert listed(tmp_path, 'cam\t2') == expected

    @pytest.mark.parametrize(
        'text', ['a.jpg 1', 'a.jpg depth/a.png', 'a 1', 'a,b.png', 'a\tb.png']
    )
    def test_columns_that_nobody_asks_for(self, tmp_path, text):
        assert listed(tmp_path, text) == [['color/a.jpg', 'depth/a.png']]

    def test_columns(self, tmp_path):
        found = listed(tmp_path, 'a b.png', rgb='{0}.jpg', x='{1}')
        assert found == [['a.jpg', 'b.png']]
        with pytest.raises(
            KeyError, match=r"list\.txt': .*'x' asks for '2', b"
        ):
            listed(tmp_path, 'a b.png', rgb='{0}.jpg', x='{2}')
        with pytest.raises(
            ValueError, match=r"list\.txt': .*'\.' is no file n"
        ):
            listed(tmp_path, '.')


class TestFolders:
    def test_dots_stay(self, tmp_path, touch):
        touch('color/a.jpg', 'color/a.1.jpg', 'depth/a.png', 'depth/a.1.png')
        touch('color/._a.jpg', 'color/readme.txt', 'color/x.jpg.bak')
        assert folders(tmp_path) == [
            ['color/a.jpg', 'depth/a.png'],
            ['color/a.1.jpg', 'depth/a.1.png'],
        ]

    def test_stem_in_a_folder_and_twice(self, tmp_path, touch):
        touch('seq/a/a_rgb.png', 'seq/b/b_rgb.png', 'seq/b/a_rgb.png')
        touch('x/a/d.png', 'x/b/d.png')
        found = folders(
            tmp_path, rgb='seq/{stem}/{stem}_rgb.png', x='x/{stem}/d.png'
        )
        assert found == [
            ['seq/a/a_rgb.png', 'x/a/d.png'],
            ['seq/b/b_rgb.png', 'x/b/d.png'],
        ]

    def test_folders_that_are_links(self, tmp_path, touch):
        touch('disk/a/d.png', 'color/b/d.png')
        (tmp_path / 'color/a').symlink_to(tmp_path / 'disk/a')
        found = folders(tmp_path, rgb='color/{stem}/d.png')
        assert found == [['color/a/d.png'], ['color/b/d.png']]

    def test_case_of_the_suffix(self, tmp_path, touch):
        touch('color/a.JPG', 'depth/a.png')
        assert folders(tmp_path) == [['color/a.JPG', 'depth/a.png']]
        touch('color/a.jpg')
        with pytest.raises(ValueError, match=r"a\.JPG' and .*are both 'a'"):
            folders(tmp_path)

    def test_braces_and_patterns_in_the_root(self, tmp_path, touch):
        touch('[x]{y}/a.jpg')
        root = tmp_path / '[x]{y}'
        assert folders(root, rgb='{stem}.jpg') == [['a.jpg']]

    def test_partner_that_may_be_missing(self, tmp_path, touch):
        touch('color/a.jpg', 'color/b.jpg', 'depth/a.png')
        depth = dict(path='depth/{stem}.png', missing_channels=3)
        assert folders(tmp_path, rgb='color/{stem}.jpg', x=depth) == [
            ['color/a.jpg', 'depth/a.png'],
            ['color/b.jpg', 'depth/b.png'],
        ]

    def test_missing_partner(self, tmp_path, touch):
        touch('color/a.jpg', 'color/a.1.jpg', 'depth/a.png')
        with pytest.raises(FileNotFoundError, match=r"lacks 1.*\['a\.1'\]"):
            folders(tmp_path)

    def test_other_fields(self, tmp_path):
        with pytest.raises(ValueError, match=r'must contain \{stem\} and no'):
            folders(tmp_path, rgb='{stem}_{0}.png')


class TestRecord:
    def test_fields(self, tmp_path):
        paths = ModalityPaths(dict(rgb='{id:03d}.jpg', x='{depth}'), '')
        found = paths.of_record(dict(id=7, depth='d.png'))
        assert found == dict(rgb='007.jpg', x='d.png')

    def test_folders_of_the_name(self):
        """A folder for each recording, below it one for each camera."""
        spec = dict(rgb='{file_name}', x='{parent}/ir/{stem}.png', y='{dir}/y')
        paths = ModalityPaths(spec, '')
        found = paths.of_record(dict(id=7, file_name='night/cam0/1.jpg'))
        assert found == dict(
            rgb='night/cam0/1.jpg', x='night/ir/1.png', y='night/cam0/y'
        )
        # The record's own fields come first.
        record = dict(id=7, file_name='a/b/1.jpg', parent='c', dir='d')
        assert paths.of_record(record)['x'] == 'c/ir/1.png'

    def test_without_file_name(self):
        paths = ModalityPaths(TEMPLATES, '')
        with pytest.raises(KeyError, match="'stem', but.*image id 7.*file_na"):
            paths.of_record(dict(id=7))
        with pytest.raises(ValueError, match='image id 7.*None|file_name 3'):
            paths.of_record(dict(id=7, file_name=3))

    def test_own_file(self, tmp_path):
        path = tmp_path / 'x.json'
        spec = dict(rgb='{stem}', x=dict(path='{stem}', ann_file='x.json'))
        images = [dict(id=7, file_name='a.1.png')]
        path.write_text(json.dumps(dict(images=images)))
        paths = ModalityPaths(spec, str(tmp_path))
        found = paths.of_record(dict(id=7, file_name='b.png'))
        assert found == dict(rgb=f'{tmp_path}/b', x=f'{tmp_path}/a.1')
        with pytest.raises(KeyError, match="'c.png' has no record in.*'x'"):
            paths.of_record(dict(id=8, file_name='c.png'))
        path.write_text(json.dumps(dict(images=images * 2)))
        with pytest.raises(ValueError, match=r'x\.json.*id of its own'):
            ModalityPaths(spec, str(tmp_path))


@pytest.mark.parametrize(
    ('modalities', 'message'),
    [
        ({}, 'is empty'),
        (dict(rgb='{stem'), "modality 'rgb': expected '}'"),
        (dict(rgb=dict(pipeline=[])), "'rgb' has no path template"),
        (dict(rgb=None), "'rgb' has no path template"),
    ],
)
def test_templates_that_are_none(modalities, message):
    with pytest.raises(ValueError, match=message):
        ModalityPaths(modalities, '')


def test_setting_that_is_none():
    # 'missing_channel' would let a run end at the first gap, 'pth' is nothing.
    spec = dict(path='t/{stem}.png', pipeline=[], missing_channel=3)
    with pytest.raises(ValueError, match=r"'x' .* has \['missing_channel'\]"):
        ModalityPaths(dict(rgb='c/{stem}.png', x=spec), '')
