"""The site: ``python -m sphinx -W -b html docs build/docs``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmxdistill.version import __version__

project = 'mmxdistill'
author = 'mmxdistill contributors'
version = release = __version__
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']

# Fonts of the system, nothing from a network.
html_theme = 'furo'
html_title = f'mmxdistill {__version__}'
html_copy_source = False
html_show_sourcelink = False
html_static_path = ['_static']
html_css_files = ['tables.css']

exclude_patterns = ['_static']
myst_heading_anchors = 4
myst_enable_extensions = ['attrs_block']

autodoc_member_order = 'bysource'
autodoc_typehints = 'none'  # the docstrings say them, with shapes
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
# Classes of the stack, and private ones, have no page here.
nitpicky = False
