// Tensors that many boxes of one container take beside the main flow: masks, position ids, rotary tables.

import type { Flow, Level } from "./levels";

/** One taker of a tensor that is pulled aside. */
export interface Stub {
  /** The box that shows a tag in place of a line. */
  box: string;
  /** Where the line would come from: a box of the level, or null for its wall. */
  from: string | null;
  tensor: string;
  edges: number[];
}

/** A tensor with more takers than this in one container is pulled aside. */
export const MANY = 4;

/** In a container with more flows than this, a tensor with many takers is drawn to the first of them only. */
const CROWD = 3000;

/**
 * Moves the flows of such tensors to the level's stubs. A tensor is beside the main flow if all its takers get another
 * one that is not pulled aside itself; what is all that its takers get (branches, a dense block) stays
 * drawn, unless there is far too much of it.
 */
export function pullAside(level: Level): void {
  const bySource = new Map<string, Flow[]>();
  for (const flow of level.flows) {
    const key = `${flow.from ?? ""}\n${flow.tensor}`;
    const flows = bySource.get(key);
    if (flows) flows.push(flow);
    else bySource.set(key, [flow]);
  }
  const takers = (flows: readonly Flow[]) => new Set(flows.flatMap(({ to }) => (to === null ? [] : [to])));
  const many = [...bySource.values()].filter((flows) => takers(flows).size > MANY);
  if (many.length === 0) return;
  const candidates = new Set(many.flat());
  const fed = new Set(level.flows.flatMap((flow) => (candidates.has(flow) ? [] : [flow.to])));
  const aside = new Set<Flow>();
  for (const flows of many) {
    const all = [...takers(flows)];
    const beside = all.every((box) => fed.has(box));
    if (!beside && level.flows.length <= CROWD) continue;
    const stubs = new Map<string, Stub>();
    for (const flow of flows) {
      if (flow.to === null || (!beside && flow.to === all[0])) continue;
      aside.add(flow);
      const stub = stubs.get(flow.to);
      if (stub) stub.edges.push(flow.edge);
      else stubs.set(flow.to, { box: flow.to, from: flow.from, tensor: flow.tensor, edges: [flow.edge] });
    }
    level.stubs.push(...stubs.values());
  }
  if (aside.size === 0) return;
  level.flows = level.flows.filter((flow) => !aside.has(flow));
  level.inPorts.keepOnly(new Set(level.flows.flatMap(({ from, tensor }) => (from === null ? [tensor] : []))));
}
