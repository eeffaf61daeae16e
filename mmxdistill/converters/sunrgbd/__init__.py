"""SUN RGB-D: readers of its published folders and label files."""

from .frames import (
    NYUD2_FOLDER,
    SENSORS,
    SUNRGBDFrame,
    SUNRGBDImages,
    find_root,
    find_sequences,
    read_splits,
)
from .labels import (
    SUNRGBDLabel,
    annotate,
    category_of,
    read_boxes,
    read_polygons,
)

__all__ = [
    'NYUD2_FOLDER',
    'SENSORS',
    'SUNRGBDFrame',
    'SUNRGBDImages',
    'SUNRGBDLabel',
    'annotate',
    'category_of',
    'find_root',
    'find_sequences',
    'read_boxes',
    'read_polygons',
    'read_splits',
]
