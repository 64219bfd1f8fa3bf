// Rows and subspaces in three dimensions on a plain canvas: drag, wheel, hover, toggle.
(function () {
  "use strict";
  const scene = JSON.parse(document.getElementById("scene").textContent);
  const canvas = document.getElementById("view");
  const tip = document.getElementById("tip");
  const pen = canvas.getContext("2d");
  const n = scene.component.length;
  const shown = scene.components.map(() => true);
  const screen = new Float32Array(3 * n); // x, y and depth of every row
  const order = Array.from({ length: n }, (_, i) => i);
  const radius = scene.points.reduce((most, _, i, p) => i % 3 ? most
    : Math.max(most, Math.hypot(p[i], p[i + 1], p[i + 2])), 1);
  const DISTANCE = 4.5 * radius; // of the eye from the middle
  const INK = "#1f2428";
  const start = multiply(turn(1, 0, 0, -1.15), turn(0, 0, 1, -0.6));
  let rotation = start, zoom = 1, byLabel = false, flats = true, pending = false, size = [1, 1];

  // --- Geometry ---------------------------------------------------------------------------------
  function turn(x, y, z, angle) {
    const c = Math.cos(angle), s = Math.sin(angle), t = 1 - c;
    return [t * x * x + c, t * x * y - s * z, t * x * z + s * y,
            t * x * y + s * z, t * y * y + c, t * y * z - s * x,
            t * x * z - s * y, t * y * z + s * x, t * z * z + c];
  }
  function multiply(a, b) {
    const out = [];
    for (let i = 0; i < 3; i++) for (let j = 0; j < 3; j++) {
      out.push(a[3 * i] * b[j] + a[3 * i + 1] * b[3 + j] + a[3 * i + 2] * b[6 + j]);
    }
    return out;
  }
  function project(x, y, z) {
    const r = rotation;
    const depth = r[6] * x + r[7] * y + r[8] * z;
    const scale = 0.6 * zoom * Math.min(0.8 * size[0], size[1]) / radius * DISTANCE
      / Math.max(DISTANCE - depth, 0.2 * radius);
    return [size[0] / 2 + scale * (r[0] * x + r[1] * y + r[2] * z),
            size[1] / 2 - scale * (r[3] * x + r[4] * y + r[5] * z), depth];
  }
  const along = (m, axes, weights) => [0, 1, 2].map(
    (i) => m[i] + axes.reduce((sum, axis, j) => sum + weights[j] * axis[i], 0));

  // --- Drawing ----------------------------------------------------------------------------------
  function color(row) {
    if (!byLabel) return (scene.components[scene.component[row]] || {}).color || scene.missing;
    return scene.label[row] < 0 ? scene.missing : scene.labelColors[scene.label[row]];
  }
  const visible = (row) => scene.component[row] < 0 || shown[scene.component[row]];
  function path(corners, close) {
    pen.beginPath();
    corners.forEach((corner, i) => {
      const at = project(corner[0], corner[1], corner[2]);
      if (i) pen.lineTo(at[0], at[1]); else pen.moveTo(at[0], at[1]);
    });
    if (close) pen.closePath();
  }
  function stroke(style, width) {
    pen.strokeStyle = "rgba(255,255,255,0.85)"; pen.lineWidth = width + 2; pen.stroke();
    pen.strokeStyle = style; pen.lineWidth = width; pen.stroke();
  }
  function ring(flat, i, j, fill) {
    const corners = [];
    for (let k = 0; k < 64; k++) {
      const angle = k * Math.PI / 32;
      corners.push(along(flat.middle, [flat.axes[i], flat.axes[j]], [Math.cos(angle), Math.sin(angle)]));
    }
    path(corners, true);
    if (fill) { pen.fillStyle = fill + "30"; pen.fill(); }
  }
  function write(text, corner, style) {
    const at = project(corner[0], corner[1], corner[2]);
    writeAt(text, at[0], at[1], style);
  }
  function writeAt(text, x, y, style) {
    pen.font = style; pen.textAlign = "center"; pen.textBaseline = "middle";
    pen.strokeStyle = "#fff"; pen.lineWidth = 4; pen.lineJoin = "round";
    pen.strokeText(text, x, y);
    pen.fillStyle = INK; pen.fillText(text, x, y);
  }
  function drawFlat(flat) {
    const own = scene.components[flat.component], a = flat.axes;
    if (flat.shape === "line") {
      path([along(flat.middle, a, [-1]), along(flat.middle, a, [1])], false);
      stroke(own.color, 3.5);
    } else if (flat.shape === "disc") {
      ring(flat, 0, 1, own.color); stroke(own.color, 2);
    } else {
      [[0, 1], [0, 2], [1, 2]].forEach((pair) => {
        if (a.length <= pair[1]) return;
        ring(flat, pair[0], pair[1], flat.shape === "point" ? "" : own.color);
        stroke(own.color, flat.shape === "point" ? 0.7 : 1.2);
      });
    }
    if (flat.shape === "point") {
      const at = project(flat.middle[0], flat.middle[1], flat.middle[2]);
      pen.beginPath(); pen.arc(at[0], at[1], 5, 0, 7);
      pen.fillStyle = own.color; stroke(own.color, 2); pen.fill();
    }
    write(own.name, along(flat.middle, a.slice(0, 1), [1.12]), "bold 14px system-ui, sans-serif");
  }
  function drawCompass() { // which way the axes point, in the lower left corner
    const x = 92, y = size[1] - 84, length = 46;
    scene.axes.forEach((name, i) => {
      if (!name) return;
      const dx = rotation[i] * length, dy = -rotation[3 + i] * length;
      pen.beginPath(); pen.moveTo(x, y); pen.lineTo(x + dx, y + dy);
      pen.strokeStyle = "#6e7781"; pen.lineWidth = 1.5; pen.stroke();
      const long = Math.hypot(dx, dy) || 1;
      writeAt(name, x + dx + 32 * dx / long, y + dy + 14 * dy / long, "12px system-ui, sans-serif");
    });
  }
  function draw() {
    pending = false;
    const ratio = window.devicePixelRatio || 1;
    size = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = size[0] * ratio; canvas.height = size[1] * ratio;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = "#fff"; pen.fillRect(0, 0, size[0], size[1]);
    for (let i = 0; i < n; i++) {
      screen.set(project(scene.points[3 * i], scene.points[3 * i + 1], scene.points[3 * i + 2]), 3 * i);
    }
    order.sort((a, b) => screen[3 * a + 2] - screen[3 * b + 2]);
    const dot = (n > 2000 ? 2 : 2.8) * Math.sqrt(zoom);
    let drawn = 0;
    for (const i of order) {
      if (!visible(i)) continue;
      const near = Math.min(1, Math.max(0, 0.5 + screen[3 * i + 2] / (2 * radius)));
      pen.globalAlpha = 0.35 + 0.55 * near;
      pen.fillStyle = color(i);
      pen.beginPath();
      pen.arc(screen[3 * i], screen[3 * i + 1], dot * (0.75 + 0.5 * near), 0, 7);
      pen.fill();
      drawn++;
    }
    pen.globalAlpha = 1;
    if (flats) scene.flats.filter((flat) => shown[flat.component]).forEach(drawFlat);
    drawCompass();
    canvas.dataset.drawn = drawn;
  }
  function redraw() {
    if (!pending) { pending = true; window.requestAnimationFrame(draw); }
  }

  // --- Pointer and keys -------------------------------------------------------------------------
  function rotate(dx, dy) {
    rotation = multiply(multiply(turn(1, 0, 0, dy / 160), turn(0, 1, 0, dx / 160)), rotation);
    redraw();
  }
  function magnify(factor) { zoom = Math.min(20, Math.max(0.3, zoom * factor)); redraw(); }
  function nearest(x, y) {
    let best = -1, least = 81;
    for (const i of order) {
      const d = (screen[3 * i] - x) ** 2 + (screen[3 * i + 1] - y) ** 2;
      if (d <= least && visible(i)) { best = i; least = d; }
    }
    return best;
  }
  function hover(event) {
    const row = nearest(event.offsetX, event.offsetY);
    tip.style.display = row < 0 ? "none" : "block";
    if (row < 0) return;
    const own = scene.components[scene.component[row]];
    let text = own ? `component ${own.name} (${own.kind}), ${scene.confidence[row]}% sure` : "no component";
    if (scene.labels.length) {
      text += ` · ${scene.column}: ${scene.label[row] < 0 ? "missing" : scene.labels[scene.label[row]]}`;
    }
    tip.textContent = text;
    tip.style.left = Math.min(event.offsetX + 14, Math.max(0, size[0] - 260)) + "px";
    tip.style.top = event.offsetY + 14 + "px";
  }
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId); tip.style.display = "none";
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons) rotate(event.movementX, event.movementY); else hover(event);
  });
  canvas.addEventListener("pointerleave", () => { tip.style.display = "none"; });
  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas) return; // until it is clicked, the wheel is the page's
    event.preventDefault();
    magnify(Math.exp(-event.deltaY / 600));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const turns = { ArrowLeft: [-12, 0], ArrowRight: [12, 0], ArrowUp: [0, -12], ArrowDown: [0, 12] };
    if (turns[event.key]) rotate(...turns[event.key]);
    else if (event.key === "+" || event.key === "=") magnify(1.15);
    else if (event.key === "-") magnify(1 / 1.15);
    else return;
    event.preventDefault();
  });
  window.addEventListener("resize", redraw);

  // --- Controls ---------------------------------------------------------------------------------
  function box(text, checked, swatch, change) {
    const label = document.createElement("label"), input = document.createElement("input");
    input.type = "checkbox"; input.checked = checked;
    input.addEventListener("change", () => { change(input.checked); redraw(); });
    label.append(input);
    if (swatch) label.append(chip(swatch));
    label.append(text);
    return label;
  }
  function chip(swatch) {
    const span = document.createElement("span");
    span.className = "swatch"; span.style.background = swatch; span.style.marginRight = "0";
    return span;
  }
  function button(text, act) {
    const element = document.createElement("button");
    element.type = "button"; element.textContent = text;
    element.addEventListener("click", () => { act(); redraw(); });
    return element;
  }
  const legend = document.getElementById("view-components");
  const boxes = scene.components.map((own, k) => box(
    `${own.name}: ${own.kind}, ${own.size.toLocaleString("en")}`, true, own.color,
    (on) => { shown[k] = on; }));
  legend.append(...boxes);
  const setAll = (on) => {
    shown.fill(on);
    boxes.forEach((label) => { label.firstChild.checked = on; });
  };
  const names = document.getElementById("view-labels");
  const buttons = document.getElementById("view-buttons");
  buttons.append(
    button("Reset view", () => { rotation = start; zoom = 1; }),
    button("+", () => magnify(1.25)), button("−", () => magnify(0.8)),
    button("All", () => setAll(true)), button("None", () => setAll(false)),
    box("subspaces", true, "", (on) => { flats = on; }));
  if (scene.labels.length) {
    buttons.append(box(`colour by ${scene.column}`, false, "", (on) => {
      byLabel = on;
      names.replaceChildren(...(on ? scene.labels.map((text, i) => {
        const label = document.createElement("label");
        label.append(chip(scene.labelColors[i]), text);
        return label;
      }) : []));
    }));
  }
  draw();
}());
