// Draws slices of packed volumes, and what lies over them, on canvases.
//
// A scene holds what is shown: `subject` as in reports/viewer.py, `bytes` of its volumes by name,
// `colours` by name, `window`, the range of the greys, and `at`, a voxel of the finest volume. A volume has a voxel
// for `every` so many of those a side. A plane says on which axis a slice stands, and which axes run to the right and up.
const slices = (() => {
  "use strict";
  const MARK = [230, 159, 0], MARK_OPACITY = 0.6;
  const buffer = document.createElement("canvas");
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const stepsOf = ([nx, ny]) => [1, nx, nx * ny];
  const shapeOf = (subject, volume) => subject.shape.map((length) => length / volume.every);
  // The place of a voxel in the bytes of a volume.
  const indexIn = (subject, volume, at) => stepsOf(shapeOf(subject, volume))
    .reduce((sum, step, axis) => sum + step * Math.floor(at[axis] / volume.every), 0);

  // Colours and opacities of all 256 steps of a volume between two values.
  function palette(volume, table, [low, high]) {
    const filled = new Uint8ClampedArray(4 * 256);
    for (let step = 0; step < 256; step++) {
      const value = volume.stored[0] + (volume.stored[1] - volume.stored[0]) * step / 255;
      const place = 3 * Math.round(254 * clamp((value - low) / (high - low), 0, 1));
      for (let i = 0; i < 3; i++) filled[4 * step + i] = table[place + i];
      const seen = volume.signed ? Math.abs(value) : value;
      filled[4 * step + 3] = 255 * (volume.opaque > volume.faint
        ? clamp((seen - volume.faint) / (volume.opaque - volume.faint), 0, 1) : 1);
    }
    return filled;
  }

  // Those of a mask that is filled.
  function fill() {
    const filled = new Uint8ClampedArray(4 * 256);
    filled.set([...MARK, 255 * MARK_OPACITY], 4);
    return filled;
  }

  // One slice at one pixel a voxel, in the colours of a palette.
  function picture(scene, plane, volume, colours) {
    const shape = shapeOf(scene.subject, volume), steps = stepsOf(shape), data = scene.bytes[volume.data];
    const width = shape[plane.right], height = shape[plane.up];
    const start = steps[plane.axis] * Math.floor(scene.at[plane.axis] / volume.every);
    const image = new ImageData(width, height);
    const from = new Uint32Array(colours.buffer), to = new Uint32Array(image.data.buffer);
    for (let row = 0, pixel = 0; row < height; row++) {
      const line = start + steps[plane.up] * (height - 1 - row);
      for (let column = 0; column < width; column++, pixel++) to[pixel] = from[data[line + steps[plane.right] * column]];
    }
    buffer.width = width;
    buffer.height = height;
    buffer.getContext("2d").putImageData(image, 0, 0);
    return buffer;
  }

  // Draws a slice with what lies over it; `place` is given pictures, and how many voxels a pixel of them is.
  function paint(scene, plane, baseName, overName, filled, place) {
    const { subject, colours } = scene, { volumes, outline } = subject;
    const base = volumes[baseName], over = volumes[overName];
    const range = (volume) => (volume.colours === scene.grey ? scene.window : volume.shown);
    const show = (volume, table) => place(picture(scene, plane, volume, table), volume.every);
    show(base, palette(base, colours[base.colours], range(base)));
    if (over) show(over, palette(over, colours[over.colours], range(over)));
    if (filled && outline) show(outline, fill());
  }

  // The bytes of a volume in voxels of another that is finer, between whose middles values change evenly.
  function refined(subject, volume, bytes, every) {
    if (volume.every === every) return bytes;
    const shape = shapeOf(subject, { every }), own = shapeOf(subject, volume), steps = stepsOf(own);
    const ratio = volume.every / every;
    // By axis: the two voxels beside each place, and how near the second is.
    const [xs, ys, zs] = shape.map((length, axis) => {
      const first = new Int32Array(length), second = new Int32Array(length), near = new Float32Array(length);
      for (let i = 0; i < length; i++) {
        const place = clamp((i + 0.5) / ratio - 0.5, 0, own[axis] - 1), low = Math.floor(place);
        first[i] = steps[axis] * low;
        second[i] = steps[axis] * Math.min(low + 1, own[axis] - 1);
        near[i] = place - low;
      }
      return { first, second, near };
    });
    const fine = new Uint8Array(shape[0] * shape[1] * shape[2]), line = new Float32Array(own[0]);
    for (let k = 0, index = 0; k < shape[2]; k++) for (let j = 0; j < shape[1]; j++) {
      const [low, high] = [zs.first[k], zs.second[k]], [back, front] = [ys.first[j], ys.second[j]];
      const y = ys.near[j], z = zs.near[k];
      for (let x = 0; x < own[0]; x++) {
        const below = bytes[low + back + x] + y * (bytes[low + front + x] - bytes[low + back + x]);
        const above = bytes[high + back + x] + y * (bytes[high + front + x] - bytes[high + back + x]);
        line[x] = below + z * (above - below);
      }
      for (let i = 0; i < shape[0]; i++, index++) {
        const left = line[xs.first[i]];
        fine[index] = left + xs.near[i] * (line[xs.second[i]] - left) + 0.5;
      }
    }
    return fine;
  }

  // The bytes of one volume minus another, both in the same voxels, in the steps of `volume`. Where the first has its
  // lowest value nothing was seen.
  function subtracted(volume, one, oneBytes, other, otherBytes) {
    const unit = (of) => (of.stored[1] - of.stored[0]) / 255;
    const [own, first, second] = [volume, one, other].map(unit);
    const offset = (one.stored[0] - other.stored[0] - volume.stored[0]) / own + 0.5;
    const difference = new Uint8ClampedArray(oneBytes.length);
    for (let i = 0; i < difference.length; i++) {
      if (oneBytes[i]) difference[i] = Math.floor(oneBytes[i] * first / own - otherBytes[i] * second / own + offset);
    }
    return difference;
  }

  // The border of the outlined voxels: marching squares through the middles of their edges.
  function trace(scene, context, plane, scale) {
    const { outline } = scene.subject, shape = shapeOf(scene.subject, outline);
    const mask = scene.bytes[outline.data], steps = stepsOf(shape), size = scale * outline.every;
    const width = shape[plane.right], height = shape[plane.up];
    const start = steps[plane.axis] * Math.floor(scene.at[plane.axis] / outline.every);
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
          const x = size * (column + sides[side][0]), y = size * (row + sides[side][1]);
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

  return { clamp, indexIn, paint, refined, subtracted, trace, drawCrosshair };
})();
