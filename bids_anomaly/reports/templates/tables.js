// Sorts tables by a click on a heading, and copies text by a click on a button.
(() => {
  "use strict";
  const plain = (cell) => cell.textContent.trim().replace("−", "-").replace(/^[<>+]\s*/, "");
  const amount = (text) => (/^-?[\d.]/.test(text) ? parseFloat(text) : NaN);

  function compare(a, b) {
    if (!a || !b) return a ? -1 : b ? 1 : 0;  // empty cells stay at the end
    const [x, y] = [amount(a), amount(b)];
    if (!isNaN(x) && !isNaN(y)) return x - y;
    return a.localeCompare(b, "en", { numeric: true });
  }

  function sort(table, column, descending) {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [plain(row.cells[column]), row]);
    rows.sort(([a], [b]) => (descending && a && b ? compare(b, a) : compare(a, b)));
    body.append(...rows.map(([, row]) => row));
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => {
      if (!heading.textContent.trim()) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        // Numbers begin with the largest.
        const before = heading.getAttribute("aria-sort");
        const descending = before ? before === "ascending" : heading.classList.contains("number");
        for (const other of headings) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
        sort(table, column, descending);
      });
    });
  }

  for (const button of document.querySelectorAll("button[data-copy]")) {
    const source = document.getElementById(button.dataset.copy), words = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const range = document.createRange();
      range.selectNodeContents(source);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      try {
        await navigator.clipboard.writeText(String(getSelection()));
      } catch {
        document.execCommand("copy");  // pages opened from a disk have no clipboard in some browsers
      }
      getSelection().removeAllRanges();
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = words; }, 2000);
    });
  }
})();
