import os

import numpy as np
import pytest
from browser import Browser, find_browser
from matplotlib.figure import Figure
from pages import read_page

from mmxdistill.visualization import Boxes, Cell, Gallery, Page, Picture, link
from mmxdistill.visualization.page import printable

# Names of files may be anything but '/' and NUL.
NASTY = os.fsdecode(b'a\xff <script>alert(1)</script> & "b" \'c\'\x1b.png')


def nasty_page(path):
    """A page with one of everything, and names that try to break out."""
    page = Page(f'Title {NASTY}', f'Lead {NASTY}')
    page.facts({NASTY: NASTY, 'file': Cell(NASTY, href=link(NASTY, path))})
    page.section(f'Section {NASTY}')
    page.text(f'One {NASTY}.\n\nTwo.')
    rows = [
        ['b', 10, '9.5 ± 1.0', NASTY],
        ['a10', -3.5, Cell('missing', muted=True), ''],
        ['A2', 7, '10.5 ± 0.1', Cell('x', links={NASTY: link('x', path)})],
        *([f'r{i}', 100 + i, f'{100 + i}', '-'] for i in range(12)),
    ]
    page.table(['name', 'number', 'spread', NASTY], rows, f'Table {NASTY}')
    figure = Figure((4, 3))
    axes = figure.subplots()
    axes.plot([1, 3, 2], label=NASTY[:9])
    axes.legend()
    page.plot(figure, f'Plot {NASTY}', f'Caption {NASTY}')
    page.plot(figure, 'The same once more')
    gallery = Gallery(floor=0.25)
    boxes = np.float32([[10, 20, 30, 60], [0, 0, 200, 100]])
    scores = np.float32([0.3, 0.9])
    image = np.zeros((100, 200, 3), np.uint8)
    gallery.add(
        NASTY,
        [
            Picture(
                NASTY,
                image,
                [
                    Boxes(f'objects {NASTY}', boxes, dashed=True),
                    Boxes('found', boxes, ['<b>', 'car'], scores),
                ],
                href=link(NASTY, path),
            ),
            Picture('thermal', None, note=f'Missing {NASTY}'),
        ],
        notes=[NASTY],
        href=link(NASTY, path),
    )
    page.gallery(gallery)
    return page


@pytest.fixture
def nasty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'out' / 'page.html'
    nasty_page(path).write(path)
    return path


def test_nothing_breaks_out(nasty):
    page = read_page(nasty)  # which is strict
    shown = printable(NASTY)
    assert shown.startswith('a\\xff <script>')
    assert shown.endswith("'c'\\x1b.png")
    assert page.texts.count(shown) >= 6
    # Quoted byte by byte: the links lead to the file.
    (tmp,) = {name for name in page.files if name.endswith(b'.png')}
    assert os.path.normpath(tmp) == os.path.join(
        os.fsencode(nasty.parents[1]), os.fsencode(NASTY)
    )


def test_tables(nasty):
    rows = [row for row in read_page(nasty).rows if row]
    assert rows[0][:3] == ['name', 'number', 'spread']
    assert rows[1][:3] == ['b', '10', '9.5 ± 1.0']
    page = Page('Long')
    page.table(['n'], ([i] for i in range(60)), limit=50)
    assert '10 more rows are left out' in page.html()
    # A cell without a value makes no texts of a column's numbers.
    page = Page('Gaps')
    page.table(['n'], [['7.5'], [''], [Cell('not run', muted=True)]])
    assert '<th scope="col" class="number">' in page.html()


@pytest.mark.parametrize(
    ('text', 'number'),
    [
        ('12', '12'),
        ('-1.5', '-1.5'),
        ('.5 %', '.5'),
        ('1e-3', '1e-3'),
        ('9.5 ± 1.0', '9.5'),
        ('3x', None),
        ('2026-01-01', None),
        ('', None),
        ('a 1', None),
    ],
)
def test_numbers_in_cells(text, number):
    assert Cell(text).number == number


def test_links(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (
        link('data/a b#?.png', 'out/x/p.html') == '../../data/a%20b%23%3F.png'
    )
    assert link('out/vis/1.jpg', 'out/p.html') == 'vis/1.jpg'
    assert link('/data/1.jpg', 'out/p.html') == 'file:///data/1.jpg'
    assert link('a:b.png', 'p.html') == 'a%3Ab.png'  # is no scheme


def test_what_pages_cannot_hold():
    assert printable('a\tb\nc é 漢 \U0001f600') == 'a\tb\nc é 漢 \U0001f600'
    assert printable('\x00\x7f\x85\udc80\ud800') == (
        '\\x00\\x7f\\x85\\x80\\ud800'
    )
    assert printable(3) == 3


CELLS = """
    [...document.querySelectorAll('tbody tr:not([hidden])')].map(
        row => row.cells[{}].textContent.trim())
"""
SORT = "document.querySelectorAll('th button')[{}].click()"


def test_in_a_browser(nasty, tmp_path):
    path = find_browser()
    if path is None:
        pytest.skip('no Chromium here: install chromium-headless-shell')
    with Browser(path) as browser:
        for width in (400, 1400):
            back = {}
            for dark in (False, True):
                browser.open(nasty, width, dark)
                assert browser.errors == []
                assert browser.requests == []
                # Nothing but what scrolls by itself is wider than the window.
                wide = 'document.documentElement.scrollWidth'
                assert browser.run(wide) == width
                style = 'getComputedStyle(document.body)'
                back[dark] = browser.run(f'{style}.backgroundColor')
                ink = browser.run(f'{style}.color')
                plot = browser.run(
                    "getComputedStyle(document.querySelector('.plot text'))"
                    '.fill'
                )
                assert plot == ink != back[dark]
            assert back[False] != back[True]
        check_tables(browser)
        check_gallery(browser)


def check_tables(browser):
    column = CELLS.format(0)
    browser.run(SORT.format(1))
    assert browser.run(CELLS.format(1))[:3] == ['-3.5', '7', '10']
    browser.run(SORT.format(1))
    assert browser.run(CELLS.format(1))[-3:] == ['10', '7', '-3.5']
    header = "document.querySelectorAll('th')[1].ariaSort"
    assert browser.run(header) == 'descending'
    for _ in range(2):  # what is missing stays at the end
        browser.run(SORT.format(2))
        assert browser.run(CELLS.format(2))[-1] == 'missing'
    # By the keyboard; texts by the numbers in them.
    browser.run("document.querySelector('th button').focus()")
    browser.press('Enter', 13)
    assert browser.run(column)[:3] == ['A2', 'a10', 'b']
    browser.run(
        "document.querySelector('input[type=search]').value = 'R11';"
        "document.querySelector('input[type=search]').dispatchEvent("
        "new Event('input'))"
    )
    assert browser.run(column) == ['r11']
    assert browser.run("document.querySelector('output').value") == (
        '1 of 15 rows'
    )


def check_gallery(browser):
    shown = """[...document.querySelectorAll('.zoom rect')].filter(
        one => getComputedStyle(one).display !== 'none').length"""
    assert browser.run(shown) == 4
    browser.run('document.querySelector(\'[data-layer="0"]\').click()')
    assert browser.run(shown) == 2
    browser.run(
        "document.querySelector('input[type=range]').value = 0.5;"
        "document.querySelector('input[type=range]').dispatchEvent("
        "new Event('input'))"
    )
    assert browser.run(shown) == 1
    # Boxes lie where they should: in parts of the picture.
    place = browser.run(
        """(async () => {
        const box = document.querySelector('rect[data-score="0.300"]');
        box.classList.remove('below');
        const zoom = document.querySelector('.zoom');
        zoom.scrollIntoView();  // a picture out of sight has no size yet
        await zoom.querySelector('img').decode();
        const a = zoom.getBoundingClientRect();
        const b = box.getBoundingClientRect();
        return [(b.x - a.x) / a.width, (b.y - a.y) / a.height,
                b.width / a.width, b.height / a.height];
        })()"""
    )
    np.testing.assert_allclose(place, [0.05, 0.2, 0.1, 0.4], atol=0.02)
    # Enlarged by the keyboard, and back to where one was.
    browser.run("document.querySelector('.zoom').focus()")
    browser.press('Enter', 13)
    assert browser.run("document.querySelectorAll('dialog[open] img').length")
    browser.press('Escape', 27)
    assert not browser.run("document.querySelector('dialog').open")
    assert browser.run("document.activeElement.matches('.cards .zoom')")
    assert browser.errors == []
