// Cubic splines as flat lists: x0 y0, then six numbers a segment.

/** `points` moved. */
export function moved(points: readonly number[], dx: number, dy: number): number[] {
  return points.map((value, i) => value + (i % 2 === 0 ? dx : dy));
}

/** One spline of pieces each of which begins where the one before ends. */
export function joined(...pieces: readonly (readonly number[])[]): number[] {
  return pieces.flatMap((piece, i) => (i === 0 ? piece : piece.slice(2)));
}

const RADIUS = 8;

/** A way of straight lines through `corners` (x y x y …) with its turns rounded; corners in a line are left out. */
export function rounded(corners: readonly number[]): number[] {
  const points: [number, number][] = [];
  for (let i = 0; i + 1 < corners.length; i += 2) {
    const [x, y] = [corners[i] ?? 0, corners[i + 1] ?? 0];
    const last = points.at(-1);
    if (last && Math.abs(last[0] - x) < 0.01 && Math.abs(last[1] - y) < 0.01) continue;
    points.push([x, y]);
  }
  const [first = [0, 0]] = points;
  const spline: number[] = [...first];
  const line = ([x, y]: readonly [number, number]) => {
    const [fromX, fromY] = [spline.at(-2) ?? 0, spline.at(-1) ?? 0];
    spline.push(fromX + (x - fromX) / 3, fromY + (y - fromY) / 3, x - (x - fromX) / 3, y - (y - fromY) / 3, x, y);
  };
  points.slice(1, -1).forEach((corner, i) => {
    const [before = corner, after = corner] = [points[i], points[i + 2]];
    const towards = (to: readonly [number, number]): [number, number] => {
      const length = Math.hypot(to[0] - corner[0], to[1] - corner[1]);
      const part = Math.min(RADIUS, length / 2) / length;
      return [corner[0] + (to[0] - corner[0]) * part, corner[1] + (to[1] - corner[1]) * part];
    };
    const [start, end] = [towards(before), towards(after)];
    line(start);
    spline.push(...between(start, corner, 0.55), ...between(end, corner, 0.55), ...end);
  });
  line(points.at(-1) ?? [0, 0]);
  return spline;
}

function between(from: readonly [number, number], to: readonly [number, number], part: number): [number, number] {
  return [from[0] + (to[0] - from[0]) * part, from[1] + (to[1] - from[1]) * part];
}
