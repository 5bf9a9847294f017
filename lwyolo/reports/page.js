"use strict";
(() => {
  // In px: the height of a module; the widths from which its label, its index, a gap beside it, and it itself show.
  const ROW = 27, LABEL = 34, INDEX = 16, GAP = 4, SMALLEST = 0.4;
  // Paul Tol's "light" scheme, made for dark text on it and for colour-blind readers; in an order that sets it apart.
  const COLOURS = "#77aadd #eedd88 #44bb99 #ffaabb #99ddff #ee8866 #bbcc33 #dddddd #aaaa00".split(" ");
  const STEPS = {
    B: [[2 ** 20, " MiB"], [2 ** 10, " KiB"], [1, " B"]],
    "": [[1e9, " G"], [1e6, " M"], [1e3, " k"], [1, ""]],
  };
  const { measures, kinds, models } = JSON.parse(document.getElementById("data").textContent);
  const tip = document.getElementById("tip");
  let measure = 0, sameScale = false;

  const colour = (type) => COLOURS[kinds.indexOf(type) % COLOURS.length];
  const percent = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(1)} %` : "–");
  const make = (tag, text, more = {}) => Object.assign(document.createElement(tag), { textContent: text }, more);

  function amount(value, unit) {
    const [size, name] = STEPS[unit].find(([step]) => value >= step) ?? STEPS[unit].at(-1);
    return `${size === 1 ? value : (value / size).toFixed(2)}${name}`;
  }

  /** Turn an item of the data into a node; what belongs to it and to no child becomes a last child of its own. */
  function grow(item, parent = null) {
    const node = { ...item, parent, depth: parent ? parent.depth + 1 : 0 };
    node.root = parent ? parent.root : node;
    const prefix = parent?.parent ? `${parent.path}.` : "";
    const place = item.path.startsWith(prefix) ? item.path.slice(prefix.length) : item.path;
    node.label = [item.index ?? place, item.type].filter((part) => part !== "" && part !== undefined).join(" ");
    node.children = (item.children ?? []).map((child) => grow(child, node));
    const own = item.figures.map((all, i) => node.children.reduce((rest, child) => rest - child.figures[i], all));
    if (node.children.length && own.some((part) => part > 0)) {
      const part = { own: true, label: "own", figures: own, parent: node, depth: node.depth + 1, children: [] };
      node.children.push({ ...node, ...part });
    }
    return node;
  }

  /** The picture of one model, drawn from the module that it is zoomed to. */
  class Flame {
    constructor(section, model) {
      this.root = this.focus = grow(model);
      [this.trail, this.area, this.legend] = [".trail", ".flame", ".legend"].map((name) => section.querySelector(name));
      section.querySelector(".picture").hidden = false;
      this.nodes = [];
      this.add(this.root);
      this.area.style.height = `${ROW * (1 + Math.max(...this.nodes.map((node) => node.depth)))}px`;
      this.area.addEventListener("keydown", (event) => this.onKey(event));
      this.drawLegend();
      new ResizeObserver(() => this.draw()).observe(this.area);
    }

    add(node) {
      const element = make("div", "", { className: `node${node.own ? " own" : ""}`, tabIndex: -1, hidden: true });
      element.setAttribute("role", "treeitem");
      if (node.parent) element.style.setProperty("--kind", colour(node.type));
      const target = () => (node === this.focus ? node.parent ?? node : node.own ? node.parent : node);
      element.addEventListener("click", () => this.zoom(target()));
      element.addEventListener("pointermove", (event) => showTip(node, event.clientX, event.clientY));
      element.addEventListener("pointerleave", hideTip);
      element.addEventListener("blur", hideTip);
      element.addEventListener("focus", () => {
        const box = element.getBoundingClientRect();
        if (element.matches(":focus-visible")) showTip(node, box.left, box.bottom);
      });
      node.element = this.area.appendChild(element);
      this.nodes.push(node);
      node.children.forEach((child) => this.add(child));
    }

    zoom(node) {
      this.focus = node;
      this.draw();
      node.element.focus({ preventScroll: true });
    }

    draw() {
      const total = this.root.figures[measure];
      const whole = sameScale ? Math.max(...models.map((model) => model.figures[measure])) : total;
      this.area.style.width = `${whole ? (100 * total) / whole : 100}%`;
      this.shown = new Set();
      this.place(this.focus, 0, 1, this.area.clientWidth);
      for (const node of this.nodes) node.element.hidden = !this.shown.has(node);
      this.drawTrail(total);
    }

    /** Place a node at a share of the width, and its children side by side below it, in order of execution. */
    place(node, left, width, area) {
      const { element, figures } = node, depth = node.depth - this.focus.depth, pixels = width * area;
      this.shown.add(node);
      element.textContent = pixels >= LABEL ? node.label : pixels >= INDEX && !node.own ? node.index ?? "" : "";
      element.classList.toggle("labelled", pixels >= LABEL);
      element.classList.toggle("thin", pixels < GAP);
      Object.assign(element.style, { left: `${100 * left}%`, width: `${100 * width}%`, top: `${ROW * depth}px` });
      const share = `${percent(figures[measure], this.root.figures[measure])} of ${measures[measure].label}`;
      element.tabIndex = node === this.focus ? 0 : -1;
      element.setAttribute("aria-level", depth + 1);
      element.setAttribute("aria-label", `${describe(node)}, ${share}`);
      for (const child of node.children) {
        const part = figures[measure] ? (width * child.figures[measure]) / figures[measure] : 0;
        if (part * area >= SMALLEST) this.place(child, left, part, area);
        left += part;
      }
    }

    drawTrail(total) {
      const { label, unit } = measures[measure], value = this.focus.figures[measure];
      const text = total ? `${amount(value, unit)} ${label}, ${percent(value, total)}` : `no ${label}`;
      const parts = [make("span", this.focus.label), make("span", text, { className: "amount" })];
      for (let node = this.focus.parent; node; node = node.parent) {
        const button = make("button", node.label, { type: "button" });
        button.addEventListener("click", () => this.zoom(node));
        parts.unshift(button, make("span", "›"));
      }
      this.trail.replaceChildren(...parts);
    }

    drawLegend() {
      const present = new Set(this.nodes.map((node) => node.type));
      for (const kind of kinds.filter((one) => present.has(one))) {
        this.legend.appendChild(make("li", kind)).style.setProperty("--kind", colour(kind));
      }
      const own = make("li", "own: of a module itself, of none below it", { className: "own" });
      if (this.nodes.some((node) => node.own)) this.legend.append(own);
    }

    onKey(event) {
      const node = this.nodes.find((one) => one.element === event.target);
      const row = [...this.shown].filter((one) => one.depth === node.depth), at = row.indexOf(node);
      const moves = {
        ArrowLeft: row[at - 1], ArrowRight: row[at + 1], Home: row[0], End: row.at(-1),
        ArrowUp: node === this.focus ? null : node.parent,
        ArrowDown: node.children.find((child) => this.shown.has(child)),
      };
      if (event.key in moves) moves[event.key]?.element.focus({ focusVisible: true });
      else if (event.key === "Enter" || event.key === " ") node.element.click();
      else if (event.key === "Escape") this.zoom(this.focus.parent ?? this.root);
      else return;
      event.preventDefault();
    }
  }

  function describe(node) {
    if (!node.parent) return node.label;
    const layer = node.index === undefined ? "" : `layer ${node.index}, `;
    return `${node.own ? "own part of " : ""}${layer}${node.type}`;
  }

  function showTip(node, x, y) {
    const lines = [describe(node)];
    if (node.path) lines.push(node.path + (node.calls ? `, called ${node.calls} times` : ""));
    if (node.from) lines.push(`from ${node.from}`);
    if (node.out) lines.push(`output ${node.out.map((shape) => shape.join("×")).join(", ")}`);
    const table = make("table", "");
    measures.forEach(({ label, unit }, i) => {
      const row = table.appendChild(make("tr", "", { className: i === measure ? "chosen" : "" }));
      const share = percent(node.figures[i], node.root.figures[i]);
      row.append(make("th", label), make("td", amount(node.figures[i], unit)), make("td", share));
    });
    tip.replaceChildren(...lines.map((line) => make("p", line)), table);
    tip.hidden = false;
    const below = y + 16 + tip.offsetHeight <= innerHeight;
    tip.style.left = `${Math.max(4, Math.min(x + 12, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${below ? y + 16 : Math.max(4, y - tip.offsetHeight - 12)}px`;
  }

  function hideTip() {
    tip.hidden = true;
  }

  const sections = [...document.querySelectorAll("main section")];
  const flames = sections.map((section, i) => new Flame(section, models[i]));
  const drawAll = () => flames.forEach((flame) => flame.draw());
  measures.forEach(({ label }, i) => {
    const choice = make("label", "", { className: "choice" });
    const input = make("input", "", { type: "radio", name: "measure", checked: i === 0 });
    input.addEventListener("change", () => {
      measure = i;
      drawAll();
    });
    choice.append(input, label);
    document.getElementById("measures").append(choice);
  });
  document.getElementById("same-scale").addEventListener("change", (event) => {
    sameScale = event.target.checked;
    drawAll();
  });
  document.getElementById("scale").hidden = models.length < 2;
  document.getElementById("controls").hidden = false;
  document.addEventListener("keydown", (event) => event.key === "Escape" && hideTip());
  addEventListener("scroll", hideTip, { passive: true });
})();
