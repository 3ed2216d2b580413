/** How far a saved step reaches: what stands for the steps at which nothing was saved. */

const PAUSE = 4;

/**
 * From which to which step each of `steps` (ascending) stands: half way to its neighbours, so that the nearest saved
 * step counts everywhere, however they are spaced. A gap that is far longer than those beside it, and longer than
 * growing gaps would make it, is a pause: into it a step reaches only as far as they go, and the rest stays blank.
 */
export function extents(steps: readonly number[]): [from: number, to: number][] {
  const gap = (index: number) => (steps[index + 1] as number) - (steps[index] as number); // NaN outside
  const reach = (index: number, beside: number): number => {
    const [own, before, after, earlier] = [gap(index), gap(index - 1), gap(index + 1), gap(index - 2)];
    if (Number.isNaN(own)) return Number.isNaN(gap(beside)) ? 0 : gap(beside) / 2;
    const near = Math.max(before || 0, after || 0);
    const growing = (before || 0) ** 2 / (earlier || before || 1);
    return near > 0 && own > PAUSE * near && own > 2 * growing ? Math.min(own / 2, near) : own / 2;
  };
  return steps.map((step, index) => [step - reach(index - 1, index), step + reach(index, index - 1)]);
}
