// Clicks every heading twice and writes what happened into the page's title.
window.addEventListener("load", () => {
  const said = [];
  for (const table of document.querySelectorAll("table.sortable")) {
    for (const heading of table.tHead.rows[0].cells) {
      const column = () => [...table.tBodies[0].rows]
        .map(row => row.cells[heading.cellIndex].dataset.value)
        .filter(v => v !== undefined && v !== "").map(Number);
      heading.querySelector("button").click();
      const up = column();
      if (heading.getAttribute("aria-sort") !== "ascending") said.push("no aria-sort");
      if (up.some((v, i) => i && v < up[i - 1])) said.push("not ascending: " + heading.textContent);
      heading.querySelector("button").click();
      const down = column();
      if (down.some((v, i) => i && v > down[i - 1])) said.push("not descending");
    }
  }
  for (const image of document.images)
    if (!image.complete || !image.naturalWidth) said.push("no image: " + image.alt);
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  document.title = "probe: " + said.length + " faults; " + said.join("; ") + "; tables " +
    document.querySelectorAll("table.sortable").length + "; images " + document.images.length +
    "; overflow " + wide;
});
