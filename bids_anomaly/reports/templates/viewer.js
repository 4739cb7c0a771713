// Draws slices of the volumes that reports/viewer.py packed into the page.
(() => {
  "use strict";
  const root = document.getElementById("viewer-body");
  const source = document.getElementById("viewer-data");
  if (!root || !source) return;

  const content = JSON.parse(source.textContent);
  const find = (selector) => root.querySelector(selector);
  const findAll = (selector) => [...root.querySelectorAll(selector)];
  function bytes(text) {
    const letters = atob(text), values = new Uint8Array(letters.length);
    for (let i = 0; i < values.length; i++) values[i] = letters.charCodeAt(i);
    return values;
  }
  const { clamp, indexIn } = slices;
  const number = (value, decimals) =>
    (value < 0 && Number(value.toFixed(decimals)) !== 0 ? "−" : "") + Math.abs(value).toFixed(decimals);
  const millimetres = (value) => {
    const rounded = Math.round(value);
    return (rounded > 0 ? "+" : rounded < 0 ? "−" : "") + Math.abs(rounded);
  };

  // The axis that a slice stands on, and those that run to the right and up.
  const PLANES = [
    { name: "Axial", axis: 2, right: 0, up: 1 },
    { name: "Coronal", axis: 1, right: 0, up: 2 },
    { name: "Sagittal", axis: 0, right: 1, up: 2 },
  ];
  // The lower and the upper end of each axis.
  const ENDS = ["LR", "PA", "IS"];
  const ZOOMS = [1, 1.5, 2, 3, 4, 6];
  // Where a browser remembers the side; pages from a disk may not be allowed to.
  const SIDE = "bids-anomaly-radiological";
  const remembered = () => { try { return localStorage.getItem(SIDE) === "true"; } catch { return false; } };
  const remember = (value) => { try { localStorage.setItem(SIDE, value); } catch { /* asked again next time */ } };
  const colours = Object.fromEntries(
    Object.entries(content.colours).map(([name, text]) => [name, bytes(text)]));
  const unpacked = {};
  const state = {
    subject: null, layer: null, at: [0, 0, 0], outline: true, wipe: 0.5,
    zoom: 1, centre: [0, 0, 0], window: [0, 1], radiological: remembered(),
  };

  async function unpack(name) {
    if (!unpacked[name]) {
      const stream = new Blob([bytes(content.packed[name])]).stream();
      const plain = stream.pipeThrough(new DecompressionStream("gzip"));
      unpacked[name] = new Uint8Array(await new Response(plain).arrayBuffer());
    }
    return unpacked[name];
  }

  async function open(subject) {
    const volumes = Object.values(subject.volumes);
    const names = [...volumes, subject.outline, subject.labels].map((one) => one?.data);
    await Promise.all(names.filter(Boolean).map(unpack));
    for (const [i, volume] of volumes.entries()) {
      if (!volume.difference || volume.data) continue;
      const [one, other] = volume.difference.map((name) => subject.volumes[name]);
      // Both in the same voxels, so that what is read at a place adds up.
      const fine = `${other.data} of ${one.data}`;
      unpacked[fine] = slices.refined(subject, other, unpacked[other.data], one.every);
      Object.assign(other, { data: fine, every: one.every });
      volume.data = `difference ${i} of ${one.data}`;
      unpacked[volume.data] = slices.subtracted(volume, one, unpacked[one.data], other, unpacked[fine]);
    }
  }

  // The value of a volume in words: none where nothing is known, and at least so much where it was cut off.
  const valueOf = (volume, at) => {
    const [low, high] = volume.stored, step = unpacked[volume.data][indexIn(state.subject, volume, at)];
    if (volume.gaps && !step) return "–";
    return (volume.beyond && step === 255 ? "≥ " : "") + number(low + (high - low) * step / 255, volume.decimals);
  };
  // Whether a voxel is marked, and the region that it lies in.
  const labelOf = (marks, at) => unpacked[marks.data][indexIn(state.subject, marks, at)];
  const toMillimetres = (at) => at.map((i, axis) => state.subject.origin[axis] + state.subject.spacing[axis] * i);
  const toVoxel = (mm) => mm.map((value, axis) => {
    const { origin, spacing, shape } = state.subject;
    return clamp(Math.round((value - origin[axis]) / spacing[axis]), 0, shape[axis] - 1);
  });

  // Whether left and right change places on a plane: radiologists look at a person from the feet.
  const isTurned = (plane) => state.radiological && plane.right === 0;

  // What is seen of a plane, in voxels: a window around the centre that stays within the picture.
  function seen(plane) {
    const { shape } = state.subject;
    const [columns, rows] = [shape[plane.right] / state.zoom, shape[plane.up] / state.zoom];
    const from = (axis, length) => clamp(state.centre[axis] + 0.5 - length / 2, 0, shape[axis] - length);
    const left = from(plane.right, columns), bottom = from(plane.up, rows);
    return { left, bottom, top: shape[plane.up] - bottom - rows, columns, rows };
  }

  function draw(plane) {
    const { canvas } = plane, { shape } = state.subject, layer = state.layer;
    const width = Math.round(canvas.clientWidth * devicePixelRatio);
    if (!width) return;
    canvas.width = width;
    canvas.height = Math.round(width / shape[plane.right] * shape[plane.up]);
    const { left, top, columns, rows } = seen(plane), scale = width / columns;
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    const scene = {
      subject: state.subject, bytes: unpacked, colours, grey: content.grey, window: state.window, at: state.at,
    };
    const turned = (paint) => {
      context.save();
      if (isTurned(plane)) context.transform(-1, 0, 0, 1, width, 0);
      paint();
      context.restore();
    };
    const place = (drawn, every) => turned(() => context.drawImage(
      drawn, left / every, top / every, columns / every, rows / every, 0, 0, canvas.width, canvas.height));
    slices.paint(scene, plane, layer.base, layer.over, layer.filled, place);
    if (layer.beside) {
      const x = Math.round(state.wipe * width);
      context.save();
      context.beginPath();
      context.rect(x, 0, width - x, canvas.height);
      context.clip();
      slices.paint(scene, plane, layer.beside, layer.over, layer.filled, place);
      context.restore();
      for (const [colour, thickness] of [["rgb(0 0 0 / 55%)", 4], ["#fff", 2]]) {
        context.fillStyle = colour;
        context.fillRect(x - thickness * devicePixelRatio / 2, 0, thickness * devicePixelRatio, canvas.height);
      }
    }
    if (state.outline && state.subject.outline && !layer.filled) {
      turned(() => {
        context.translate(-scale * left, -scale * top);
        slices.trace(scene, context, plane, scale);
      });
    }
    const across = scale * (state.at[plane.right] + 0.5 - left);
    slices.drawCrosshair(context, canvas, isTurned(plane) ? width - across : across,
      scale * (shape[plane.up] - state.at[plane.up] - 0.5 - top));
  }

  // The cross stays in sight.
  function follow() {
    for (const plane of PLANES) {
      const { left, bottom, columns, rows } = seen(plane);
      const [across, up] = [state.at[plane.right] - left, state.at[plane.up] - bottom];
      if (across < 0 || across >= columns || up < 0 || up >= rows) state.centre = [...state.at];
    }
  }

  function show() {
    const { subject, at, layer } = state, mm = toMillimetres(at);
    follow();
    for (const plane of PLANES) {
      const words = `${"xyz"[plane.axis]} = ${millimetres(mm[plane.axis])} mm`;
      plane.place.textContent = words;
      plane.slider.max = subject.shape[plane.axis] - 1;
      plane.slider.value = at[plane.axis];
      plane.slider.setAttribute("aria-valuetext", words);
      plane.canvas.setAttribute("aria-label", `${subject.name}, ${layer.label}: ${plane.name.toLowerCase()} slice at ${words}`);
      draw(plane);
    }
    const read = { place: mm.map(millimetres).join(", ") + " mm" };
    read.region = subject.labels
      ? content.regions[labelOf(subject.labels, at)] ?? "outside the atlas" : "–";
    if (subject.outline) read.outline = labelOf(subject.outline, at) ? "inside" : "outside";
    for (const [name, volume] of Object.entries(subject.volumes)) {
      if (volume.decimals !== null) read[name] = valueOf(volume, at);
    }
    for (const cell of findAll("[data-read]")) cell.textContent = read[cell.dataset.read] ?? "–";
    root.dataset.at = mm.map((value) => Math.round(value)).join(" ");
    root.dataset.layer = layer.label;
    root.dataset.zoom = state.zoom;
    for (const [index, button] of findAll("[data-zoom]").entries()) {
      button.disabled = index ? state.zoom === ZOOMS.at(-1) : state.zoom === ZOOMS[0];
    }
    const explained = subject.volumes[layer.over || layer.base], bar = find(".viewer-bar canvas");
    const strip = new ImageData(255, 1), table = colours[explained.colours];
    for (let i = 0; i < 255; i++) strip.data.set([table[3 * i], table[3 * i + 1], table[3 * i + 2], 255], 4 * i);
    bar.getContext("2d").putImageData(strip, 0, 0);
    find(".viewer-bar-label").textContent = explained.label;
    const plain = (value) => String(Number(value.toPrecision(3))).replace("-", "−");
    const [low, high] = explained.colours === content.grey ? state.window : explained.shown;
    find(".viewer-bar-low").textContent = plain(low);
    find(".viewer-bar-high").textContent = plain(high);
    const mark = find(".viewer-mark"), isMarked = typeof explained.mark === "number";
    mark.style.visibility = isMarked ? "visible" : "hidden";
    if (isMarked) {
      mark.style.left = `${100 * clamp((explained.mark - low) / (high - low), 0, 1)}%`;
      mark.dataset.words = `threshold ${explained.mark.toPrecision(2)}`;
    }
    root.classList.toggle("comparing", Boolean(layer.beside));
  }

  let waiting = false;
  function refresh() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; show(); });
  }

  // The centre of a curved finding may lie beside it: the nearest place inside, some voxels of the mask away.
  function inside(at) {
    const { outline, shape } = state.subject;
    if (!outline || labelOf(outline, at)) return at;
    const { every } = outline, reach = 12 * every, middle = (every - 1) / 2;
    const [from, to] = [-reach, reach].map((by) => at.map((i, axis) => Math.floor(clamp(i + by, 0, shape[axis] - 1) / every)));
    let best = at, least = Infinity;
    for (let z = from[2]; z <= to[2]; z++) for (let y = from[1]; y <= to[1]; y++) for (let x = from[0]; x <= to[0]; x++) {
      const there = [x, y, z].map((i) => every * i + Math.floor(middle));
      const distance = there.reduce((sum, i, axis) => sum + (i - at[axis]) ** 2, 0);
      if (distance < least && labelOf(outline, there)) [best, least] = [there, distance];
    }
    return best;
  }

  function moveTo(mm, isOutlined) {
    state.at = isOutlined ? inside(toVoxel(mm)) : toVoxel(mm);
    refresh();
  }

  function step(axis, by) {
    state.at[axis] = clamp(state.at[axis] + by, 0, state.subject.shape[axis] - 1);
    refresh();
  }

  function zoomBy(steps) {
    const next = clamp(ZOOMS.indexOf(state.zoom) + steps, 0, ZOOMS.length - 1);
    if (ZOOMS[next] > state.zoom) state.centre = [...state.at];
    state.zoom = ZOOMS[next];
    refresh();
  }

  // The greys run over the window, half of it on either side of the level.
  function setWindow(width, level) {
    state.window = [level - width / 2, level + width / 2];
    find("#viewer-window").value = width;
    find("#viewer-level").value = level;
    const said = [["window", width], ["level", level]];
    for (const [name, value] of said) find(`[data-set=${name}]`).textContent = number(value, 2);
    refresh();
  }

  function resetWindow() {
    const volume = state.subject.volumes[state.subject.layers[0].base];
    const [low, high] = volume.shown, [least, most] = volume.stored, range = most - least;
    for (const slider of [find("#viewer-window"), find("#viewer-level")]) {
      Object.assign(slider, { min: slider.id === "viewer-window" ? range / 100 : least, max: most, step: range / 200 });
    }
    setWindow(high - low, (low + high) / 2);
  }

  function setSide(radiological) {
    state.radiological = radiological;
    for (const plane of PLANES) {
      const [left, right] = ENDS[plane.right], [low, high] = ENDS[plane.up];
      const letters = isTurned(plane) ? [right, left, high, low] : [left, right, high, low];
      plane.figure.querySelectorAll(".picture i").forEach((mark, i) => { mark.textContent = letters[i]; });
    }
    refresh();
  }

  function chooseLayer(label) {
    state.layer = state.subject.layers.find((layer) => layer.label === label) ?? state.subject.layers[0];
    for (const radio of findAll("[name=viewer-layer]")) {
      radio.checked = radio.value === state.layer.label;
      radio.disabled = !state.subject.layers.some((layer) => layer.label === radio.value);
    }
  }

  async function chooseSubject(subject) {
    await open(subject);
    const mm = state.subject ? toMillimetres(state.at) : null;
    state.subject = subject;
    // The page says of each scan what was found in it.
    const shown = String(content.subjects.indexOf(subject));
    for (const about of document.querySelectorAll("[data-subject]")) about.hidden = about.dataset.subject !== shown;
    if (mm) state.at = toVoxel(mm);
    chooseLayer(state.layer?.label);
    resetWindow();
    for (const plane of PLANES) {
      const size = [plane.right, plane.up].map((axis) => subject.shape[axis] * subject.spacing[axis]);
      plane.figure.style.setProperty("--width", size[0]);
      plane.figure.style.setProperty("--height", size[1]);
    }
    refresh();
  }

  // The place that the page asks for, the peak of what is shown, or the middle.
  function firstPlace() {
    const start = root.dataset.start;
    if (start) return moveTo(start.split(" ").map(Number), true);
    if (state.subject.peak) return moveTo(state.subject.peak, false);
    state.at = state.subject.shape.map((length) => Math.floor(length / 2));
    refresh();
  }

  function listen() {
    for (const plane of PLANES) {
      const { canvas, slider } = plane;
      const point = (event) => {
        const box = canvas.getBoundingClientRect(), { shape } = state.subject;
        if (state.layer.beside && plane.wiping) {
          state.wipe = clamp((event.clientX - box.left) / box.width, 0, 1);
          find("#viewer-wipe").value = 100 * state.wipe;
          return refresh();
        }
        const across = clamp((event.clientX - box.left) / box.width, 0, 0.999);
        const up = clamp(1 - (event.clientY - box.top) / box.height, 0, 0.999);
        const { left, bottom, columns, rows } = seen(plane);
        const voxel = [left + (isTurned(plane) ? 0.999 - across : across) * columns, bottom + up * rows];
        [plane.right, plane.up].forEach((axis, i) => {
          state.at[axis] = clamp(Math.floor(voxel[i]), 0, shape[axis] - 1);
        });
        refresh();
      };
      canvas.addEventListener("pointerdown", (event) => {
        const box = canvas.getBoundingClientRect();
        plane.wiping = Math.abs((event.clientX - box.left) - state.wipe * box.width) < 12;
        canvas.setPointerCapture(event.pointerId);
        point(event);
      });
      canvas.addEventListener("pointermove", (event) => {
        if (canvas.hasPointerCapture(event.pointerId)) point(event);
      });
      // Only where the reader has clicked, so that scrolling the page does not end in a picture.
      canvas.addEventListener("wheel", (event) => {
        if (document.activeElement !== canvas) return;
        event.preventDefault();
        if (event.ctrlKey) return zoomBy(event.deltaY < 0 ? 1 : -1);
        step(plane.axis, event.deltaY < 0 ? 1 : -1);
      }, { passive: false });
      canvas.addEventListener("keydown", (event) => {
        const zooms = { "+": 1, "=": 1, "-": -1 };
        if (zooms[event.key] && !event.ctrlKey) {
          event.preventDefault();
          return zoomBy(zooms[event.key]);
        }
        const right = isTurned(plane) ? -1 : 1;
        const moves = {
          ArrowLeft: [plane.right, -right], ArrowRight: [plane.right, right],
          ArrowDown: [plane.up, -1], ArrowUp: [plane.up, 1],
          PageDown: [plane.axis, -1], PageUp: [plane.axis, 1],
        };
        if (!moves[event.key]) return;
        event.preventDefault();
        step(...moves[event.key]);
      });
      slider.addEventListener("input", () => {
        state.at[plane.axis] = Number(slider.value);
        refresh();
      });
      new ResizeObserver(refresh).observe(canvas);
    }
    root.addEventListener("change", ({ target }) => {
      if (target.name === "viewer-subject") chooseSubject(content.subjects[Number(target.value)]);
      if (target.name === "viewer-layer") chooseLayer(target.value);
      if (target.id === "viewer-outline") state.outline = target.checked;
      if (target.id === "viewer-side") {
        remember(target.checked);
        setSide(target.checked);
      }
      refresh();
    });
    for (const name of ["window", "level"]) {
      find(`#viewer-${name}`).addEventListener("input", () =>
        setWindow(Number(find("#viewer-window").value), Number(find("#viewer-level").value)));
    }
    find("#viewer-reset").addEventListener("click", resetWindow);
    for (const button of findAll("[data-zoom]")) {
      button.addEventListener("click", () => zoomBy(Number(button.dataset.zoom)));
    }
    find("#viewer-peak")?.addEventListener("click", () => {
      if (state.subject.peak) moveTo(state.subject.peak, false);
    });
    find("#viewer-wipe")?.addEventListener("input", ({ target }) => {
      state.wipe = target.value / 100;
      const layer = state.subject.layers.find((one) => one.beside);
      if (layer) chooseLayer(layer.label);
      refresh();
    });
    document.addEventListener("click", ({ target }) => {
      const row = target.closest("[data-mm]");
      if (!row || !state.subject) return;
      for (const other of document.querySelectorAll("[data-mm][aria-current]")) other.removeAttribute("aria-current");
      row.setAttribute("aria-current", "true");
      // Other tables also name places where something was in another session.
      moveTo(row.dataset.mm.split(" ").map(Number), Boolean(row.closest("#findings")));
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      root.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "nearest" });
    });
  }

  async function start() {
    for (const [i, figure] of findAll(".plane").entries()) {
      Object.assign(PLANES[i], {
        figure, canvas: figure.querySelector("canvas"), place: figure.querySelector("output"),
        slider: figure.querySelector("input"),
      });
    }
    find("#viewer-side").checked = state.radiological;
    await chooseSubject(content.subjects[0]);
    setSide(state.radiological);
    firstPlace();
    listen();
    root.classList.add("ready");
  }

  start().catch((error) => {
    const message = find(".viewer-message");
    message.hidden = false;
    message.textContent = `The viewer cannot start in this browser (${error.message}). The pictures below show the same.`;
  });
})();
