(() => {
  const tip = Object.assign(document.createElement("div"), { className: "tip", hidden: true });
  tip.setAttribute("role", "status");
  document.body.append(tip);

  /** Tell the value of a mark beside it. */
  function tell(mark) {
    document.querySelector(".read")?.classList.remove("read");
    tip.hidden = !mark;
    if (!mark) return;
    mark.classList.add("read");
    tip.textContent = mark.dataset.told;
    const box = mark.getBoundingClientRect(), above = box.top - tip.offsetHeight - 6;
    const left = box.left + box.width / 2 - tip.offsetWidth / 2;
    tip.style.left = `${Math.max(4, Math.min(left, document.documentElement.clientWidth - tip.offsetWidth - 4))}px`;
    tip.style.top = `${above < 4 ? box.bottom + 6 : above}px`;
  }

  /** Let the marks of a picture be read by pointer, and by the arrow keys once it has the focus. */
  function readable(plot) {
    const marks = [...plot.querySelectorAll("title")].map((title) => {
      const mark = title.parentNode;
      mark.dataset.told = title.textContent;
      title.remove();
      return mark;
    });
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    let at = -1;
    plot.addEventListener("pointerover", (event) => tell(event.target.dataset.told ? event.target : null));
    plot.addEventListener("pointerleave", () => tell(null));
    plot.addEventListener("blur", () => tell(null));
    plot.addEventListener("keydown", (event) => {
      const ends = { Home: 0, End: marks.length - 1 };
      if (event.key === "Escape") return tell(null);
      if (!marks.length || !(event.key in steps || event.key in ends)) return;
      event.preventDefault();
      at = ends[event.key] ?? Math.max(0, Math.min(marks.length - 1, at + steps[event.key]));
      marks[at].scrollIntoView({ block: "nearest" });
      tell(marks[at]);
    });
  }

  document.querySelectorAll("svg.plot").forEach(readable);
  addEventListener("scroll", () => tell(document.querySelector(".read")), { passive: true });
})();
