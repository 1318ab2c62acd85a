"use strict";
// Press the head of a column to sort by it; rows of totals stay at the end.
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === (column ? "descending" : "ascending") ? !column : !!column;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const rows = [...body.rows].filter((row) => !row.classList.contains("total"));
      const totals = [...body.rows].filter((row) => row.classList.contains("total"));
      const numbers = rows.some((row) => row.cells[column].dataset.value !== undefined);
      rows.sort((one, two) => compare(one.cells[column], two.cells[column], numbers, falling));
      body.append(...rows, ...totals);
    });
  });
}

function compare(one, two, numbers, falling) {
  if (!numbers) {
    const order = one.textContent.localeCompare(two.textContent, undefined, { numeric: true });
    return falling ? -order : order;
  }
  const [a, b] = [one, two].map((cell) => (cell.dataset.value === undefined ? NaN : Number(cell.dataset.value)));
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return falling ? b - a : a - b;
}
