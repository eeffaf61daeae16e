import json

import pytest

from mmxdistill.datasets.coco_file import (
    check_classes,
    read_coco,
    read_records,
)


@pytest.fixture
def content():
    return dict(
        images=[dict(id=1, file_name='a.png', width=9, height=9)],
        annotations=[
            dict(id=1, image_id=1, category_id=3, bbox=[1, 1, 4, 3], area=9),
            dict(id=2, image_id=1, category_id=3, bbox=[1, 1, 4, 3]),
        ],
        categories=[dict(id=3, name='car'), dict(id=4, name='person')],
    )


@pytest.fixture
def write(tmp_path):
    def _write(content):
        path = tmp_path / 'ann.json'
        path.write_text(json.dumps(content))
        return path

    return _write


def test_area_that_is_missing(content, write):
    found = read_coco(write(content))
    assert [item['area'] for item in found['annotations']] == [9, 12]


def broken(part, field, value):
    def change(content):
        record = content[part][-1]
        if value is None:
            record.pop(field)
        else:
            record[field] = value

    return change


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (broken('categories', 'name', 'car'), r"same name, e\.g\. \['car'\]"),
        (broken('categories', 'id', 3), r'categories have the same id.*3'),
        (broken('categories', 'name', None), 'categories has no name'),
        (broken('images', 'id', None), 'images has no id'),
        (broken('annotations', 'id', 1), 'annotations have the same id'),
        (broken('annotations', 'bbox', [1, 2]), 'annotation 2 has the bbox'),
        (broken('annotations', 'bbox', None), 'annotation 2 has the bbox'),
        (broken('annotations', 'area', 'x'), "annotation 2 has the area 'x'"),
        (broken('annotations', 'image_id', None), '2 has no image_id'),
        (broken('images', 'width', '9'), "image 1 has the width '9'"),
        (lambda content: content.pop('categories'), "no list 'categories'"),
        (lambda content: content['images'].append(3), "images holds '3'"),
    ],
)
def test_what_is_wrong_is_named(content, write, change, message):
    change(content)
    with pytest.raises(ValueError, match=rf"ann\.json'.*{message}"):
        read_coco(write(content))


def test_ignored_annotations_need_no_box(content, write):
    content['annotations'][1] = dict(id=2, ignore=1)
    read_coco(write(content))


def test_records_alone(write):
    assert read_records(write(dict(images=[dict(file_name='a')])))
    for other in ([], dict(images=3), 'x'):
        with pytest.raises(ValueError, match="no list 'images'"):
            read_records(write(other))


@pytest.mark.parametrize(
    ('classes', 'message'),
    [
        ('person', r"classes=\('person',\)"),
        (('a', 'b', 'a'), r"\['a'\] twice"),
        (('a', 1), 'must be names'),
    ],
)
def test_classes(classes, message):
    check_classes(('a', 'b'))
    with pytest.raises(ValueError, match=message):
        check_classes(classes)
