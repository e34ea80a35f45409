"use strict";
(() => {
  const data = JSON.parse(document.getElementById("graph-data").textContent);
  const panel = document.getElementById("evidence");
  const found = document.getElementById("found");
  const box = document.getElementById("search");

  // Names come from files: they are only ever set as text.
  const element = (tag, text) => {
    const made = document.createElement(tag);
    made.textContent = text;
    made.dir = "auto";
    return made;
  };
  const evidence = (item, headed = "strong", around = "div") => {
    const card = document.createElement(around);
    card.className = "card";
    const list = document.createElement("dl");
    for (const [label, text] of item.evidence) list.append(element("dt", label), element("dd", text));
    card.append(element(headed, item.heading), list);
    return card;
  };
  for (const item of [...data.nodes, ...data.edges]) item.title = evidence(item);

  const canvas = document.getElementById("graph");
  const framed = window.self !== window.top;
  const fillFrame = () => { // canvas and legend fill a frame, so that nothing scrolls inside it
    if (!framed) return;
    const top = canvas.getBoundingClientRect().top + window.scrollY;
    const below = document.querySelector("main").getBoundingClientRect().bottom - canvas.getBoundingClientRect().bottom;
    canvas.style.height = `${window.innerHeight - top - below - 16}px`;
  };
  fillFrame();
  for (const n of data.nodes) [n.x, n.y] = canvas.clientWidth < 700 ? n.narrow : n.wide;
  const nodes = new vis.DataSet(data.nodes);
  const edges = new vis.DataSet(data.edges);

  // A kind of edge that is switched off goes, and with it the actors that have no other edge.
  const switches = [...document.querySelectorAll("input[data-relation]")];
  const isOn = (edge) => switches.some((s) => s.checked && s.dataset.relation === edge.relation);
  let hidden = new Set();
  const choose = () => {
    const on = new Set(edges.get({ filter: isOn }).flatMap((e) => [e.from, e.to]));
    hidden = new Set(edges.get().flatMap((e) => [e.from, e.to]).filter((id) => !on.has(id)));
  };
  choose();
  const edgesInView = new vis.DataView(edges, { filter: isOn });
  if (framed) data.options.interaction.zoomView = false; // the wheel scrolls the page around the frame
  const nodesInView = new vis.DataView(nodes, { filter: (n) => !hidden.has(n.id) });
  const graph = new vis.Network(canvas, { nodes: nodesInView, edges: edgesInView }, data.options);
  const fit = () => graph.fit({ maxZoomLevel: 1.5 });
  fit();
  graph.once("afterDrawing", () => canvas.setAttribute("data-drawn", "true"));
  const refresh = () => {
    choose();
    nodesInView.refresh();
    edgesInView.refresh();
  };
  for (const s of switches) s.addEventListener("change", () => { refresh(); fit(); });

  // Everything that does not touch the chosen nodes or edge steps back.
  const fade = (keepNodes, keepEdges) => {
    const all = keepNodes === null;
    nodes.update(data.nodes.map((n) => {
      const near = all || keepNodes.has(n.id);
      return { id: n.id, opacity: near ? 1 : 0.15, font: { color: near ? "#1f2328" : "rgba(31,35,40,0.12)" } };
    }));
    edges.update(edges.map((e) => {
      const near = all || keepEdges.has(e.id);
      return { id: e.id, color: { ...e.color, opacity: near ? 0.75 : 0.06 } };
    }));
  };
  const show = (item, itsEdges = []) => {
    panel.replaceChildren(evidence(item), ...itsEdges.map((e) => evidence(e, "summary", "details")));
    panel.hidden = false;
    panel.scrollTop = 0;
  };
  const chooseNode = (id) => {
    const itsEdges = graph.getConnectedEdges(id);
    fade(new Set([id, ...graph.getConnectedNodes(id)]), new Set(itsEdges));
    show(nodes.get(id), edges.get(itsEdges));
  };
  const chooseNone = () => {
    fade(null);
    panel.hidden = true;
  };
  graph.on("click", ({ nodes: [node], edges: [edge] }) => {
    if (node !== undefined) return chooseNode(node);
    if (edge === undefined) return chooseNone();
    fade(new Set(graph.getConnectedNodes(edge)), new Set([edge]));
    show(edges.get(edge));
  });

  let turn = 0;
  box.addEventListener("input", () => { turn = 0; });
  document.getElementById("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = box.value.trim().toLowerCase();
    if (!wanted) return;
    const at = (n) => n.heading.toLowerCase().indexOf(wanted);
    const hits = data.nodes.filter((n) => at(n) >= 0)
      .sort((a, b) => at(a) - at(b) || a.heading.length - b.heading.length || a.id - b.id);
    if (!hits.length) {
      found.textContent = "No actor on this page has that in its name.";
      return;
    }
    const hit = hits[turn % hits.length];
    const next = hits.length > 1 ? ", press Enter for the next" : "";
    found.textContent = `${hit.heading.slice(0, 60)} (${(turn % hits.length) + 1} of ${hits.length}${next})`;
    turn += 1;
    if (hidden.has(hit.id)) {
      for (const s of switches) s.checked = true;
      refresh();
    }
    graph.selectNodes([hit.id]);
    graph.focus(hit.id, { scale: Math.max(graph.getScale(), 0.9) });
    chooseNode(hit.id);
  });
  document.getElementById("whole").addEventListener("click", () => {
    graph.unselectAll();
    chooseNone();
    fit();
  });
  const zoom = (factor) => graph.moveTo({ scale: graph.getScale() * factor });
  document.getElementById("closer").addEventListener("click", () => zoom(1.4));
  document.getElementById("farther").addEventListener("click", () => zoom(1 / 1.4));
  window.addEventListener("resize", fillFrame); // a frame may get its size after its page has run
  new ResizeObserver(() => {
    graph.redraw();
    fit();
  }).observe(canvas);
})();
