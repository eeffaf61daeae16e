"""Packaging of mmxdistill; tool configuration lives in ``pyproject.toml``."""

import runpy
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
# What OpenMMLab tools look for in ``<package>/.mim`` of an installed package.
MIM_FILES = ('configs', 'tools', 'model-index.yml')


class BuildWithMim(build_py):
    """Copy configs, tools and metadata into the wheel, not the checkout."""

    def run(self) -> None:
        """Build the package, then add ``mmxdistill/.mim``."""
        super().run()
        if self.editable_mode:  # configs are then found next to the package
            return
        mim = Path(self.build_lib) / 'mmxdistill' / '.mim'
        shutil.rmtree(mim, ignore_errors=True)  # of an earlier build
        mim.mkdir(parents=True)
        for name in MIM_FILES:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(
                    source,
                    mim / name,
                    ignore=shutil.ignore_patterns('__pycache__'),
                )
            elif source.is_file():
                shutil.copy(source, mim / name)


def readme() -> str:
    """Read the README, which is absent only from a partial checkout."""
    path = ROOT / 'README.md'
    return path.read_text(encoding='utf-8') if path.is_file() else ''


# Runs the quickstart and studies.
STUDIES = ['snakemake>=9; python_version >= "3.11"']
TESTS = [
    *('h5py>=3', 'protobuf>=4.22', 'pytest>=8', 'pytest-xdist>=3'),
    *('tensorboard>=2.14', 'webdataset', *STUDIES),
]

setup(
    name='mmxdistill',
    version=runpy.run_path(str(ROOT / 'mmxdistill' / 'version.py'))[
        '__version__'
    ],
    description='Supervision transfer across image modalities for '
    'MMDetection 3.x',
    long_description=readme(),
    long_description_content_type='text/markdown',
    author='mmxdistill contributors',
    license='Apache-2.0',
    keywords='computer vision, object detection, distillation, RGB-D',
    classifiers=[
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
    python_requires='>=3.10',
    packages=find_packages(include=['mmxdistill', 'mmxdistill.*']),
    package_data={'mmxdistill.visualization': ['templates/*']},
    cmdclass={'build_py': BuildWithMim},
    zip_safe=False,
    # Neither stack may be required: they install the same files, and mmcv
    # must be compiled after PyTorch. ``import mmxdistill`` says how.
    install_requires=['jinja2>=3', 'numpy', 'scipy'],
    extras_require={
        'onedl': [
            'onedl-mmcv>=2.3.6',
            'onedl-mmdetection>=3.5.1',
            'onedl-mmengine>=0.10.12',
        ],
        # mmengine 0.10 imports pkg_resources, gone from setuptools 82;
        # mmdet's own extra picks the mmcv it accepts.
        'openmmlab': ['mmdet[mim]>=3.3.0', 'setuptools<82'],
        'baselines': ['ensemble-boxes'],  # weighted boxes fusion
        'caffe': ['protobuf>=4.22'],
        # nyu_depth_v2_labeled.mat is HDF5.
        'datasets': ['h5py>=3'],
        'fiftyone': ['fiftyone>=1'],  # brings a database
        'numba': ['numba'],  # compiles HHA
        # Install the torchvision of your PyTorch before.
        'timm': ['timm>=1'],
        'studies': STUDIES,
        # For cv2.ximgproc. Uninstall opencv-python(-headless) before: all
        # OpenCV distributions install the same ``cv2`` folder.
        'proposals': ['opencv-contrib-python<4.13'],
        'tests': TESTS,
        'dev': [*TESTS, 'codespell', 'coverage', 'mypy', 'pre-commit', 'ruff'],
        # The site of the documentation.
        'docs': ['furo', 'myst-parser', 'sphinx'],
    },
)
