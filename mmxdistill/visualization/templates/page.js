
'use strict';
// Order of two cells: numbers by value, then texts, then what is missing.
function order(a, b) {
  const rank = (cell) => cell.classList.contains('muted') || !cell.textContent.trim() ? 2 : cell.dataset.number === undefined ? 1 : 0;
  const ranks = rank(a) - rank(b);
  if (ranks) return ranks * Infinity;
  if (rank(a) === 0) return Number(a.dataset.number) - Number(b.dataset.number);
  return a.textContent.trim().localeCompare(b.textContent.trim(), undefined, {numeric: true});
}
function sortBy(header) {
  const sign = header.ariaSort === 'ascending' ? -1 : 1;
  const column = header.cellIndex;
  const body = header.closest('table').tBodies[0];
  const rows = [...body.rows];
  rows.sort((a, b) => {
    const found = order(a.cells[column], b.cells[column]);
    return Math.abs(found) === Infinity ? found : sign * found;
  });
  body.append(...rows);
  for (const other of header.parentNode.cells) other.removeAttribute('aria-sort');
  header.ariaSort = sign > 0 ? 'ascending' : 'descending';
}
for (const button of document.querySelectorAll('th button')) {
  button.addEventListener('click', () => sortBy(button.parentNode));
}
for (const input of document.querySelectorAll('input[type=search]')) {
  const block = input.closest('.data');
  const rows = [...block.querySelectorAll('tbody tr')];
  input.addEventListener('input', () => {
    const wanted = input.value.toLowerCase();
    let count = 0;
    for (const row of rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      count += !row.hidden;
    }
    block.querySelector('output').textContent = wanted ? `${count} of ${rows.length} rows` : `${count} rows`;
  });
}
for (const gallery of document.querySelectorAll('.gallery')) {
  for (const box of gallery.querySelectorAll('[data-layer]')) {
    box.addEventListener('change', () => gallery.classList.toggle(`hide${box.dataset.layer}`, !box.checked));
  }
  const range = gallery.querySelector('input[type=range]');
  if (range) {
    const scored = [...gallery.querySelectorAll('[data-score]')];
    range.addEventListener('input', () => {
      range.nextElementSibling.textContent = Number(range.value).toFixed(2);
      for (const one of scored) one.classList.toggle('below', Number(one.dataset.score) < Number(range.value));
    });
  }
}
const dialog = document.querySelector('dialog');
let opener = null;
document.addEventListener('click', (event) => {
  const picture = event.target.closest('.zoom');
  if (dialog.open) {
    if (picture || event.target === dialog) dialog.close();
  } else if (picture) {
    opener = picture;
    const copy = picture.cloneNode(true);
    copy.ariaLabel = 'Close';
    dialog.className = picture.closest('.gallery').className;
    dialog.replaceChildren(copy);
    dialog.showModal();
  }
});
dialog.addEventListener('close', () => {
  dialog.replaceChildren();
  if (opener) opener.focus();
});
