"use strict";
(() => {
  /** Let the columns of a table be sorted: numbers first from the largest, and again in the other direction. */
  function sortable(table) {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    const parse = (text) => (Number.isNaN(parseFloat(text)) ? -1 : parseFloat(text));
    for (const head of heads.filter((one) => one.textContent)) {
      const numeric = head.classList.contains("right");
      const compare = (a, b) => (numeric ? parse(a) - parse(b) : a.localeCompare(b, undefined, { numeric: true }));
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const current = head.getAttribute("aria-sort");
        const sign = (current ? current === "ascending" : numeric) ? -1 : 1;
        const text = (row) => row.cells[head.cellIndex].textContent;
        heads.forEach((one) => one.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", sign < 0 ? "descending" : "ascending");
        body.append(...[...body.rows].sort((a, b) => sign * compare(text(a), text(b))));
      });
    }
  }

  /** Show only the rows that hold what is typed, and how many they are. */
  function filtered(label) {
    const rows = [...label.nextElementSibling.querySelector("tbody").rows];
    const [input, output] = [label.querySelector("input"), label.querySelector("output")];
    label.hidden = false;
    input.addEventListener("input", () => {
      const wanted = input.value.trim().toLowerCase();
      rows.forEach((row) => (row.hidden = !row.textContent.toLowerCase().includes(wanted)));
      output.textContent = wanted && [rows.filter((row) => !row.hidden).length, rows.length].join(" / ");
    });
  }

  document.querySelectorAll("table.sortable").forEach(sortable);
  document.querySelectorAll(".filter").forEach(filtered);
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => (one.open = true)));
})();
