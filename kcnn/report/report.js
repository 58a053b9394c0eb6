// Tables marked sortable are sorted by a click on a heading; again turns the order round.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = table.tHead.rows[0].cells;
  for (const heading of headings) {
    heading.querySelector("button").addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const at = heading.cellIndex;
      const key = (row) => {
        const value = row.cells[at].dataset.value;
        return value === undefined ? row.cells[at].textContent.trim() : value === "" ? Infinity : Number(value);
      };
      const order = (a, b) => {
        const [x, y] = [key(a), key(b)];
        return typeof x === "number" && typeof y === "number" ? x - y || 0 : String(x).localeCompare(String(y));
      };
      const body = table.tBodies[0];
      const rows = [...body.rows].sort((a, b) => (down ? -1 : 1) * order(a, b));
      body.append(...rows);
    });
  }
}
