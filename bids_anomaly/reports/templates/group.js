// Shows the people whom the fields above the table ask for.
(() => {
  "use strict";
  const form = document.getElementById("people-filter");
  if (!form) return;
  const rows = [...document.querySelectorAll("#people tbody tr")];
  const words = rows.map((row) => row.textContent.toLowerCase());
  const count = document.getElementById("people-count");
  const { text, group, flagged } = form.elements;

  function show() {
    const wanted = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, index) => {
      const fits = wanted.every((word) => words[index].includes(word))
        && (!group || !group.value || row.dataset.group === group.value)
        && (!flagged.checked || row.dataset.flagged);
      row.hidden = !fits;
      shown += fits;
    });
    count.textContent = shown === rows.length ? `${rows.length} rows` : `${shown} of ${rows.length} rows`;
  }

  form.hidden = false;
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  show();
})();
