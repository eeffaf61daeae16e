"""The site: ``python -m sphinx -W -b html docs build/docs``."""

import sys
from pathlib import Path

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmxdistill.version import __version__

project = 'mmxdistill'
author = copyright = 'mmxdistill contributors'
version = release = __version__
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']

# Fonts of the system, nothing from a network.
html_theme = 'furo'
html_title = f'mmxdistill {__version__}'
pygments_dark_style = 'monokai'
html_copy_source = False
html_show_sourcelink = False
html_static_path = ['_static']
html_css_files = ['pages.css']

exclude_patterns = ['_static']
myst_heading_anchors = 4
myst_enable_extensions = ['attrs_block']

autodoc_member_order = 'bysource'
autodoc_typehints = 'none'  # the docstrings say them, with shapes
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
# Classes of the stack, and private ones, have no page here.
nitpicky = False
# Formulas without a script from a network.
html_math_renderer = 'mathml'
# A page that is not in the navigation yet breaks nothing.
suppress_warnings = ['toc.not_included']


def setup(app):
    """Let the browser set formulas: MathML."""

    def write(translator, node):
        block = node.tagname == 'math_block'
        translator.body.append(tex2mathml(node.astext(), as_block=block))
        raise SkipNode

    app.add_html_math_renderer('mathml', (write, None), (write, None))
