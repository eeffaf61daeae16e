"""Where the images of a sample are: one path template per modality."""

from __future__ import annotations

import contextlib
import glob
import os
import os.path as osp
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from string import Formatter
from typing import Any

from mmxdistill.datasets.coco_file import read_records
from mmxdistill.datasets.lists import read_list
from mmxdistill.text_files import read_text

__all__ = ['ModalityPaths', 'name_file']

# What ends a file name for certain; in 'rgb/1305031453.359684' nothing does.
_SUFFIXES = frozenset(
    '.avif .bmp .dib .exr .flo .gif .h5 .hdr .jp2 .jpe .jpeg .jpg .mat .npy '
    '.npz .pbm .pfm .pgm .png .pnm .ppm .pxm .ras .raw .sr .tif .tiff '
    '.webp'.split()
)
_SHOWN = 3
# Of a modality.
_SETTINGS = frozenset(['ann_file', 'missing_channels', 'path', 'pipeline'])


class ModalityPaths:
    """File paths of every modality from one template per modality.

    Args:
        modalities (dict[str, str | dict]): See :class:`PairedDataset`.
        data_root (str): Root of the data set.

    Raises:
        ValueError: There is no modality, a template is none, or a setting of
            a modality is unknown.
    """

    def __init__(self, modalities: dict[str, Any], data_root: str) -> None:
        if not modalities:
            raise ValueError(
                "'modalities' is empty: give one path template per modality, "
                "e.g. modalities=dict(rgb='color/{stem}.jpg', "
                "hha='depth/{stem}.png')"
            )
        self.data_root = data_root or ''
        self.templates: dict[str, str] = {}
        self.records: dict[str, dict[Any, dict]] = {}
        self.optional: set[str] = set()
        for name, spec in modalities.items():
            template = spec
            if isinstance(spec, Mapping):
                if unknown := set(spec) - _SETTINGS:
                    raise ValueError(
                        f"modality '{name}' of the data set has "
                        f'{sorted(unknown)}; it takes {sorted(_SETTINGS)}'
                    )
                template = spec.get('path')
                if spec.get('missing_channels'):
                    self.optional.add(name)
                if spec.get('ann_file'):
                    path = osp.join(self.data_root, spec['ann_file'])
                    self.records[name] = _by_id(path)
            if not isinstance(template, str):
                raise ValueError(
                    f"modality '{name}' has no path template: write "
                    f"{name}='folder/{{stem}}.png' or "
                    f"{name}=dict(path='folder/{{stem}}.png', ...)"
                )
            self.templates[name] = template
            _fields(template, name)

    def of_list(self, path: str | os.PathLike[str]) -> list[dict[str, str]]:
        """Paths of the lines of a list, see :func:`read_list`.

        Args:
            path (str or PathLike): The list; ``{0}``, ``{1}``, ... are its
                columns, the first is also the ``{file_name}``.

        Returns:
            list[dict[str, str]]: Path per modality.

        Raises:
            KeyError: A template asks for a column that is not there.
            ValueError: The list is none, its first column no file name, or a
                line may be a name with blanks.
        """
        samples = []
        explicit = None
        for row in read_list(path):
            if len(row) > 1:
                if explicit is None:
                    text = read_text(path)
                    explicit = '\t' in text or ',' in text
                if not explicit and self._splits_name(row):
                    raise ValueError(
                        f"'{path}': is {' '.join(row)!r} one name or "
                        f'{len(row)} columns? Put double quotes around names '
                        'with blanks, or tabs between columns'
                    )
            with name_file(path):
                samples.append(self._paths(row, dict(file_name=row[0])))
        return samples

    def _splits_name(self, row: Sequence[str]) -> bool:
        """Whether columns that nobody asks for may be the end of a name."""
        for name, template in self.templates.items():
            if any(f.isdigit() and int(f) for f in _fields(template, name)):
                return False
        suffixes = [PurePath(cell).suffix.lower() for cell in row]
        if suffixes[-1] in _SUFFIXES and not _SUFFIXES & set(suffixes[:-1]):
            return True
        name = ' '.join(row)
        paths = self._paths((name,), dict(file_name=name))
        return any(map(osp.exists, paths.values()))

    def of_record(self, record: Mapping[str, Any]) -> dict[str, str]:
        """Paths of an image record of a COCO file.

        Args:
            record (Mapping): ``{file_name}``, ``{id}``, ... ``{stem}`` is the
                file name without folder and suffix, ``{dir}`` its folder,
                ``{parent}`` the folder above.

        Returns:
            dict[str, str]: Path per modality.

        Raises:
            KeyError: A template asks for a field that the record lacks.
            ValueError: ``file_name`` is no name.
        """
        return self._paths((), record)

    def _paths(
        self, columns: Sequence[str], record: Mapping[str, Any]
    ) -> dict[str, str]:
        shared = {
            name: template
            for name, template in self.templates.items()
            if name not in self.records
        }
        paths = self._format(shared, columns, record)
        for name, records in self.records.items():
            if record.get('id') not in records:
                raise KeyError(
                    f'{_title(record)} has no record in the ann_file of '
                    f"modality '{name}'"
                )
            template = {name: self.templates[name]}
            paths |= self._format(template, (), records[record['id']])
        return {name: paths[name] for name in self.templates}

    def _format(
        self,
        templates: Mapping[str, str],
        columns: Sequence[str],
        record: Mapping[str, Any],
    ) -> dict[str, str]:
        """Paths of templates that are filled from the same record."""
        file_name = record.get('file_name')
        if file_name is None:
            return self._fill(templates, columns, record)
        if not isinstance(file_name, str) or not PurePath(file_name).name:
            raise ValueError(
                f'{_title(record)}: file_name {file_name!r} is no file name'
            )
        # As templates of LoadModalities have them.
        folder = PurePath(file_name).parent
        folders = dict(dir=str(folder), parent=str(folder.parent))
        filled = [
            self._fill(templates, columns, {**folders, 'stem': stem, **record})
            for stem in _stems(file_name)
        ]
        if len(filled) == 1:
            return filled[0]
        # Nobody but the disk knows what belongs to the name. All modalities
        # take the same, or images of two scenes would make a pair.
        found = [sum(map(osp.exists, set(paths.values()))) for paths in filled]
        wanted = [len(set(paths.values())) for paths in filled]
        for paths, number, total in zip(filled, found, wanted, strict=True):
            if number == total:
                return paths
        if any(found):
            return filled[found.index(max(found))]
        # 'a.1' is rather a frame than a type of file, 'a.x' the opposite.
        return filled[not PurePath(file_name).suffix[1:].isdigit()]

    def _fill(
        self,
        templates: Mapping[str, str],
        columns: Sequence[str],
        fields: Mapping[str, Any],
    ) -> dict[str, str]:
        paths = {}
        for name, template in templates.items():
            try:
                path = template.format(*columns, **fields)
            except (KeyError, IndexError):
                known = [*map(str, range(len(columns))), *sorted(fields)]
                lacking = [
                    f for f in _fields(template, name) if f not in known
                ]
                raise KeyError(
                    f"the path template '{template}' of modality '{name}' "
                    f'asks for {", ".join(map(repr, lacking))}, but '
                    f'{_title(fields)} has only {known}'
                    + (
                        ' (stem comes from file_name)'
                        if 'stem' in lacking
                        else ''
                    )
                ) from None
            paths[name] = osp.join(self.data_root, path)
        return paths

    def of_folders(self) -> list[dict[str, str]]:
        """Paths of all files that match the templates.

        Returns:
            list[dict[str, str]]: Path per modality, in the order of the
            stems.

        Raises:
            FileNotFoundError: Files lack a partner.
            ValueError: A template has other fields than ``{stem}``, or two
                files differ in the case of their letters only.
        """
        found = {
            name: self._listing(name, template)
            for name, template in self.templates.items()
        }
        everything = set().union(*found.values())
        lonely = {
            name: sorted(everything - set(files))
            for name, files in found.items()
            if everything - set(files) and name not in self.optional
        }
        if lonely:
            raise FileNotFoundError(
                f"partner images are missing under '{self.data_root}': "
                + '; '.join(
                    f"modality '{name}' ({self.templates[name]}) lacks "
                    f'{len(stems)}, e.g. {stems[:_SHOWN]}'
                    for name, stems in lonely.items()
                )
                + '. Add them, or list the complete pairs in an ann_file'
            )
        return [
            {
                name: files.get(stem) or self._path(name, stem)
                for name, files in found.items()
            }
            for stem in sorted(everything)
        ]

    def _path(self, name: str, stem: str) -> str:
        """Where the file of a modality would be."""
        return osp.join(self.data_root, self.templates[name].format(stem=stem))

    def _listing(self, name: str, template: str) -> dict[str, str]:
        """Files of a modality: stem -> path."""
        if set(_fields(template, name)) != {'stem'}:
            raise ValueError(
                f"without ann_file, the template '{template}' of modality "
                f"'{name}' must contain {{stem}} and no other field"
            )
        folders, names = osp.split(osp.join(self.data_root, template))
        pattern = re.compile(_regex(osp.join(folders, names)))
        files: dict[str, str] = {}
        for path in sorted(_entries(folders, names)):
            match = pattern.fullmatch(path)
            if not match:
                continue
            other = files.setdefault(match['stem'], path)
            if other != path:
                raise ValueError(
                    f"'{other}' and '{path}' are both '{match['stem']}' to "
                    f"the template '{template}' of modality '{name}': remove "
                    'one, or list the pairs in an ann_file'
                )
        return files


@contextlib.contextmanager
def name_file(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let the error about a record name the file that the record is in."""
    try:
        yield
    except (KeyError, ValueError) as error:
        raise type(error)(f"'{path}': {error.args[0]}") from None


def _by_id(path: str) -> dict[Any, dict]:
    records: dict[Any, dict] = {}
    for record in read_records(path):
        if record.get('id') is None or record['id'] in records:
            raise ValueError(
                f"'{path}': {_title(record)} has the id {record.get('id')}, "
                'but every image needs an id of its own'
            )
        records[record['id']] = record
    return records


def _title(record: Mapping[str, Any]) -> str:
    """How messages name a record."""
    if record.get('file_name'):
        return f"the record of '{record['file_name']}'"
    return f'the record of image id {record.get("id")} (without file_name)'


def _fields(template: str, name: str) -> list[str]:
    try:
        parsed = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(
            f"the path template '{template}' of modality '{name}': {error}"
        ) from None
    return [field for _, field, _, _ in parsed if field is not None]


def _stems(file_name: str) -> list[str]:
    """What may be the stem of a file name, the longest first."""
    path = PurePath(file_name)
    suffix = path.suffix.lower()
    if suffix in _SUFFIXES:
        return [path.stem]
    if not suffix:
        return [path.name]
    return [path.name, path.stem]


def _regex(path: str) -> str:
    """Expression for the files of a template, the suffix in any case."""
    *parts, tail = (re.escape(part) for part in path.split('{stem}'))
    head = '(?P=stem)'.join(parts[1:])
    if len(parts) > 1:
        head = f'{parts[0]}(?P<stem>[^/]+){head}(?P=stem)'
    else:
        head = f'{parts[0]}(?P<stem>[^/]+)'
    if '/' in tail:
        return head + tail
    return f'{head}(?i:{tail})'


def _entries(folders: str, names: str) -> Iterator[str]:
    """Files of all folders of a template."""
    pattern = '*'.join(map(glob.escape, folders.split('{stem}')))
    hidden = names.startswith('.')
    for folder in glob.glob(pattern) if '{stem}' in folders else [folders]:
        try:
            with os.scandir(folder or '.') as entries:
                found = [entry.name for entry in entries]
        except (FileNotFoundError, NotADirectoryError):
            continue
        for name in found:
            if hidden or not name.startswith('.'):
                yield osp.join(folder, name)
