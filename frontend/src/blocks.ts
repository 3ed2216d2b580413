/** Which of the original elements one that is shown stands for, where several became one. */

/** First and last index, both among them. */
export type Span = readonly [first: number, last: number];

/** Of `size` elements in blocks of equal length, `count` of them, as weights are reduced; the last may be shorter. */
export function blockOf(index: number, count: number, size: number): Span {
  const length = Math.ceil(size / Math.max(1, count));
  return [index * length, Math.min(size, (index + 1) * length) - 1];
}

/** Of `size` elements in `count` areas as `adaptive_avg_pool1d` has them, which may share an element at their ends. */
export function areaOf(index: number, count: number, size: number): Span {
  return [Math.floor((index * size) / count), Math.ceil(((index + 1) * size) / count) - 1];
}

export function formatSpan([first, last]: Span): string {
  return first === last ? String(first) : `${first}–${last}`;
}

/**
 * What a cell of a parameter is called that is shown as a matrix [first dimension, all others].
 *
 * @param shown - The shape of what is shown.
 * @param own - The shape of the parameter itself.
 */
export function parameterPlace(shown: readonly number[], own: readonly number[], row: number, column: number): string {
  const indices: number[] = [];
  let rest = column;
  for (const size of shown.slice(1).reverse()) {
    indices.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  const spans = [row, ...indices].map((index, dim) =>
    formatSpan(blockOf(index, shown[dim] as number, own[dim] ?? (shown[dim] as number))),
  );
  return spans.length === 2 ? `row ${spans[0]}, column ${spans[1]}` : `[${spans.join(", ")}]`;
}
