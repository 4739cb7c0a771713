// Draws slices of packed volumes, and what lies over them, on canvases.
//
// A scene holds what is shown: `subject` as in reports/viewer.py, `bytes` of its volumes by name,
// `colours` by name, `window`, the range of the greys, and `at`, a voxel. A plane says on which axis a slice stands, and which axes run
// to the right and up.
const slices = (() => {
  "use strict";
  const MARK = [230, 159, 0], MARK_OPACITY = 0.6;
  const buffer = document.createElement("canvas");
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const stepsOf = ([nx, ny]) => [1, nx, nx * ny];

  // Colours of all 256 steps of a volume between two values, with their opacity.
  function palette(volume, table, [low, high]) {
    const filled = new Float32Array(4 * 256);
    for (let step = 0; step < 256; step++) {
      const value = volume.stored[0] + (volume.stored[1] - volume.stored[0]) * step / 255;
      const place = 3 * Math.round(254 * clamp((value - low) / (high - low), 0, 1));
      for (let i = 0; i < 3; i++) filled[4 * step + i] = table[place + i];
      const seen = volume.signed ? Math.abs(value) : value;
      filled[4 * step + 3] = volume.opaque > volume.faint
        ? clamp((seen - volume.faint) / (volume.opaque - volume.faint), 0, 1) : 1;
    }
    return filled;
  }

  // One slice at one pixel a voxel.
  function paint(scene, plane, baseName, overName, filled) {
    const { subject, bytes, colours, at } = scene, { shape, volumes, outline } = subject;
    const base = volumes[baseName], over = volumes[overName];
    const range = (volume) => (volume.colours === scene.grey ? scene.window : volume.shown);
    const below = palette(base, colours[base.colours], range(base));
    const above = over && palette(over, colours[over.colours], range(over));
    const data = bytes[base.data], cover = over && bytes[over.data], mask = bytes[outline];
    const steps = stepsOf(shape), width = shape[plane.right], height = shape[plane.up];
    const start = steps[plane.axis] * at[plane.axis];
    const image = new ImageData(width, height);
    for (let row = 0, pixel = 0; row < height; row++) {
      for (let column = 0; column < width; column++, pixel += 4) {
        const index = start + steps[plane.right] * column + steps[plane.up] * (height - 1 - row);
        const low = 4 * data[index], high = cover ? 4 * cover[index] : 0;
        const part = cover ? above[high + 3] : 0;
        const marked = filled && mask[index] ? MARK_OPACITY : 0;
        for (let i = 0; i < 3; i++) {
          let value = below[low + i];
          if (part) value += part * (above[high + i] - value);
          if (marked) value += marked * (MARK[i] - value);
          image.data[pixel + i] = value;
        }
        image.data[pixel + 3] = 255;
      }
    }
    buffer.width = width;
    buffer.height = height;
    buffer.getContext("2d").putImageData(image, 0, 0);
    return buffer;
  }

  // The border of the outlined voxels: marching squares through the middles of their edges.
  function trace(scene, context, plane, scale) {
    const { shape, outline } = scene.subject;
    const mask = scene.bytes[outline], steps = stepsOf(shape);
    const width = shape[plane.right], height = shape[plane.up];
    const start = steps[plane.axis] * scene.at[plane.axis];
    const inside = (column, row) => (column < 0 || row < 0 || column >= width || row >= height
      ? 0 : mask[start + steps[plane.right] * column + steps[plane.up] * (height - 1 - row)]);
    const sides = [[1, 0.5], [1.5, 1], [1, 1.5], [0.5, 1]];  // top, right, bottom, left
    const pairs = [[], [3, 2], [2, 1], [3, 1], [0, 1], [0, 1, 3, 2], [0, 2], [0, 3],
      [0, 3], [0, 2], [0, 3, 2, 1], [0, 1], [3, 1], [2, 1], [3, 2], []];
    context.beginPath();
    for (let row = -1; row < height; row++) {
      for (let column = -1; column < width; column++) {
        const kind = 8 * inside(column, row) + 4 * inside(column + 1, row)
          + 2 * inside(column + 1, row + 1) + inside(column, row + 1);
        pairs[kind].forEach((side, i) => {
          const x = scale * (column + sides[side][0]), y = scale * (row + sides[side][1]);
          if (i % 2) context.lineTo(x, y); else context.moveTo(x, y);
        });
      }
    }
    const density = devicePixelRatio;
    context.lineJoin = "round";
    for (const [colour, thickness] of [["rgb(0 0 0 / 55%)", 2.6], ["#fff", 1.2]]) {
      context.strokeStyle = colour;
      context.lineWidth = thickness * density;
      context.stroke();
    }
  }

  function drawCrosshair(context, canvas, x, y) {
    const gap = 9 * devicePixelRatio;
    context.beginPath();
    for (const [x1, y1, x2, y2] of [[0, y, x - gap, y], [x + gap, y, canvas.width, y],
      [x, 0, x, y - gap], [x, y + gap, x, canvas.height]]) {
      context.moveTo(x1, y1);
      context.lineTo(x2, y2);
    }
    context.strokeStyle = "rgb(86 180 233 / 80%)";
    context.lineWidth = devicePixelRatio;
    context.stroke();
  }

  return { clamp, stepsOf, paint, trace, drawCrosshair };
})();
