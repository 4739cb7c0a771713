// Saves what a reader thinks of the session as a table with one row.
(() => {
  "use strict";
  const form = document.getElementById("rating-form");
  if (!form) return;
  const { participant, session, version, file, columns } = form.dataset;
  const said = document.getElementById("rating-said");
  // A cell is one line, is not empty, and is no formula to a spreadsheet.
  const cell = (text) => text.replace(/\s+/g, " ").trim().replace(/^'*[-+=@\uff0b\uff0d\uff1d\uff20]./, "'$&") || "n/a";

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const row = {
      participant_id: participant, session_id: session, version,
      rating: form.elements.rating.value,
      comment: cell(form.elements.comment.value),
      rater: cell(form.elements.rater.value),
      rated_at: new Date().toISOString().replace(/\.\d+/, ""),
    };
    const names = columns.split(" ");
    const table = [names, names.map((name) => row[name])].map((cells) => `${cells.join("\t")}\n`).join("");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([table], { type: "text/tab-separated-values" }));
    link.download = file;
    link.click();
    URL.revokeObjectURL(link.href);
    said.textContent = `${row.rating}: ${file} was saved.`;
  });
  document.getElementById("rating").hidden = false;
})();
