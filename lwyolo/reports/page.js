"use strict";
(() => {
  const ROW = 27, LABEL = 34, INDEX = 16, THIN = 4, SMALLEST = 0.4; // px: height; width from which each shows
  // Paul Tol's "light" scheme, made for dark text on top and for colour-blind readers; neighbours are put far apart.
  const COLOURS = ["#77aadd", "#eedd88", "#44bb99", "#ffaabb", "#99ddff", "#ee8866", "#bbcc33", "#dddddd", "#aaaa00"];
  const { measures, kinds, models } = JSON.parse(document.getElementById("data").textContent);
  const tip = document.getElementById("tip");
  const flames = [];
  let measure = 0, sameScale = false;

  const colour = (type) => COLOURS[kinds.indexOf(type) % COLOURS.length];
  const percent = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(1)} %` : "–");
  function make(tag, text, properties = {}) {
    return Object.assign(document.createElement(tag), { textContent: text }, properties);
  }
  function amount(value, unit) {
    const steps = unit === "B" ? [[2 ** 20, " MiB"], [2 ** 10, " KiB"], [1, " B"]] : [[1e9, " G"], [1e6, " M"], [1e3, " k"], [1, ""]];
    const [size, name] = steps.find(([step]) => value >= step) ?? steps.at(-1);
    return `${size === 1 ? value : (value / size).toFixed(2)}${name}`;
  }

  /** Turn an item of the data into a node; what belongs to it and to no child becomes a last child of its own. */
  function grow(item, parent = null) {
    const node = { ...item, parent, depth: parent ? parent.depth + 1 : 0, root: parent ? parent.root : null };
    node.root ??= node;
    const prefix = parent?.path ? `${parent.path}.` : "";
    const place = node.path?.startsWith(prefix) ? node.path.slice(prefix.length) : node.path;
    node.label = parent ? [node.index ?? place, node.type].filter((part) => part !== "").join(" ") : node.path;
    node.children = (item.children ?? []).map((child) => grow(child, node));
    const own = item.figures.map((total, i) => total - node.children.reduce((sum, child) => sum + child.figures[i], 0));
    if (node.children.length && own.some((part) => part > 0)) {
      node.children.push({ ...node, own: true, figures: own, parent: node, depth: node.depth + 1, label: "own", children: [] });
    }
    return node;
  }

  class Flame {
    constructor(section, model) {
      this.root = this.focus = grow(model);
      [this.trail, this.area, this.legend] = section.querySelectorAll(".trail, .flame, .legend");
      section.querySelector(".picture").hidden = false;
      this.nodes = [];
      this.addNode(this.root);
      this.area.style.height = `${ROW * (1 + Math.max(...this.nodes.map((node) => node.depth)))}px`;
      this.drawLegend();
      this.area.addEventListener("keydown", (event) => this.onKey(event));
      new ResizeObserver(() => this.draw()).observe(this.area);
    }

    addNode(node) {
      const element = make("div", "", { className: node.own ? "node own" : node.parent ? "node" : "node root", tabIndex: -1, hidden: true });
      element.setAttribute("role", "treeitem");
      if (node.parent) element.style.setProperty("--kind", colour(node.type));
      element.addEventListener("click", () => this.zoom(node === this.focus ? node.parent ?? node : node.own ? node.parent : node));
      element.addEventListener("pointermove", (event) => showTip(node, event.clientX, event.clientY));
      element.addEventListener("pointerleave", () => (tip.hidden = true));
      element.addEventListener("blur", () => (tip.hidden = true));
      element.addEventListener("focus", () => {
        const box = element.getBoundingClientRect();
        if (element.matches(":focus-visible")) showTip(node, box.left, box.bottom);
      });
      node.element = this.area.appendChild(element);
      this.nodes.push(node);
      node.children.forEach((child) => this.addNode(child));
    }

    zoom(node) {
      this.focus = node;
      this.draw();
      node.element.focus({ preventScroll: true });
    }

    draw() {
      const whole = sameScale ? Math.max(...models.map((model) => model.figures[measure])) : this.root.figures[measure];
      this.area.style.width = `${whole ? (100 * this.root.figures[measure]) / whole : 100}%`;
      this.shown = new Map();
      this.place(this.focus, 0, 1, this.area.clientWidth);
      for (const node of this.nodes) node.element.hidden = !this.shown.has(node);
      this.drawTrail();
    }

    /** Place a node at a share of the width, and its children side by side below it, in order of execution. */
    place(node, left, width, pixels) {
      const { element, figures } = node, depth = node.depth - this.focus.depth;
      this.shown.set(node, left);
      Object.assign(element.style, { left: `${100 * left}%`, width: `${100 * width}%`, top: `${ROW * depth}px` });
      element.classList.toggle("thin", width * pixels < THIN);
      element.textContent = width * pixels >= LABEL ? node.label : width * pixels >= INDEX && !node.own ? node.index ?? "" : "";
      element.style.paddingLeft = width * pixels >= LABEL ? "5px" : "1px";
      element.tabIndex = node === this.focus ? 0 : -1;
      element.setAttribute("aria-level", depth + 1);
      element.setAttribute("aria-label", `${describe(node)}, ${percent(figures[measure], this.root.figures[measure])} of ${measures[measure].label}`);
      for (const child of node.children) {
        const share = figures[measure] ? (width * child.figures[measure]) / figures[measure] : 0;
        if (share * pixels >= SMALLEST) this.place(child, left, share, pixels);
        left += share;
      }
    }

    drawTrail() {
      const steps = [];
      for (let node = this.focus; node; node = node.parent) steps.unshift(node);
      const links = steps.map((node) => (node === this.focus ? make("span", node.label) : make("button", node.label, { type: "button", onclick: () => this.zoom(node) })));
      const total = this.root.figures[measure], { label, unit } = measures[measure];
      const text = total ? `${amount(this.focus.figures[measure], unit)} ${label}, ${percent(this.focus.figures[measure], total)}` : `no ${label}`;
      this.trail.replaceChildren(...links.flatMap((link, i) => (i ? [make("span", "›"), link] : [link])), make("span", text, { className: "amount" }));
    }

    drawLegend() {
      const present = kinds.filter((kind) => this.nodes.some((node) => node.parent && node.type === kind));
      for (const kind of present) this.legend.appendChild(make("li", kind)).style.setProperty("--kind", colour(kind));
      if (this.nodes.some((node) => node.own)) this.legend.append(make("li", "own: of the module itself, of none below it", { className: "own" }));
    }

    onKey(event) {
      const node = this.nodes.find((one) => one.element === event.target);
      const row = [...this.shown.keys()].filter((one) => one.depth === node.depth);
      const step = (by) => row[row.indexOf(node) + by];
      const inside = node === this.focus ? null : node.parent;
      const moves = { ArrowLeft: step(-1), ArrowRight: step(1), ArrowUp: inside, ArrowDown: node.children.find((child) => this.shown.has(child)), Home: row[0], End: row.at(-1) };
      if (event.key in moves) moves[event.key]?.element.focus({ focusVisible: true });
      else if (event.key === "Enter" || event.key === " ") node.element.click();
      else if (event.key === "Escape") this.zoom(this.focus.parent ?? this.root);
      else return;
      event.preventDefault();
    }
  }

  function describe(node) {
    if (!node.parent) return node.path;
    return `${node.own ? "own part of " : ""}${node.index === undefined ? "" : `layer ${node.index}, `}${node.type}`;
  }

  function showTip(node, x, y) {
    const lines = [describe(node)];
    if (node.parent && node.path) lines.push(node.path + (node.calls > 1 ? `, called ${node.calls} times` : ""));
    if (node.from !== undefined && !node.own) lines.push(`from ${node.from}`);
    if (node.out?.length && !node.own) lines.push(`output ${node.out.map((shape) => shape.join("×")).join(", ")}`);
    const rows = measures.map(({ label, unit }, i) => {
      const row = make("tr", "", { className: i === measure ? "chosen" : "" });
      row.append(make("th", label), make("td", amount(node.figures[i], unit)), make("td", percent(node.figures[i], node.root.figures[i])));
      return row;
    });
    const table = make("table", "");
    table.append(...rows);
    tip.replaceChildren(...lines.map((line) => make("p", line)), table);
    tip.hidden = false;
    const above = y + 16 + tip.offsetHeight > innerHeight;
    tip.style.left = `${Math.max(4, Math.min(x + 12, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${above ? Math.max(4, y - tip.offsetHeight - 12) : y + 16}px`;
  }

  function sortable(table) {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (!head.textContent) return;
      const button = make("button", "", { type: "button" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const numeric = head.classList.contains("right");
        const down = head.ariaSort ? head.ariaSort === "ascending" : numeric;
        const text = (row) => row.cells[column].textContent;
        const order = (a, b) => (numeric ? parse(text(a)) - parse(text(b)) : text(a).localeCompare(text(b), undefined, { numeric: true }));
        const parse = (cell) => (Number.isNaN(parseFloat(cell)) ? -1 : parseFloat(cell));
        heads.forEach((one) => one.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        body.append(...[...body.rows].sort((a, b) => (down ? order(b, a) : order(a, b))));
      });
    });
  }

  const drawAll = () => flames.forEach((flame) => flame.draw());
  measures.forEach(({ label }, i) => {
    const choice = make("label", "", { className: "choice" });
    const input = make("input", "", { type: "radio", name: "measure", checked: i === 0 });
    input.addEventListener("change", () => { measure = i; drawAll(); });
    choice.append(input, label);
    document.getElementById("measures").append(choice);
  });
  document.getElementById("scale").hidden = models.length < 2;
  document.getElementById("same-scale").addEventListener("change", (event) => { sameScale = event.target.checked; drawAll(); });
  document.getElementById("controls").hidden = false;
  document.querySelectorAll("main section").forEach((section, i) => flames.push(new Flame(section, models[i])));
  document.querySelectorAll("table.sortable").forEach(sortable);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });
  addEventListener("scroll", () => (tip.hidden = true), { passive: true });
  addEventListener("beforeprint", () => { document.querySelectorAll("details").forEach((one) => (one.open = true)); drawAll(); });
})();
