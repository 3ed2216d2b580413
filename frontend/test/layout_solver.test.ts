// @vitest-environment node
// The solver's promises: each problem once, a deadline for each, and a column whenever Graphviz gives nothing.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Problem, Solution } from "../src/layout/problem";
import { solveInRows } from "../src/layout/rows";
import { type LayoutWorker, type Reply, type Request, Solver } from "../src/layout/solver";

/** A worker that does as it is told by the test. */
class ScriptedWorker implements LayoutWorker {
  readonly asked: Request[] = [];
  terminated = false;
  #message: (event: { data: Reply }) => void = () => {};
  #error: () => void = () => {};

  addEventListener(type: "message" | "error", listener: (event: { data: Reply }) => void): void {
    if (type === "message") this.#message = listener;
    else this.#error = listener as () => void;
  }
  postMessage(request: Request): void {
    this.asked.push(request);
  }
  terminate(): void {
    this.terminated = true;
  }
  say(data: Reply): void {
    this.#message({ data });
  }
  fail(): void {
    this.#error();
  }
  /** Answer the oldest question that is open with a solution of this width. */
  answer(width: number): void {
    const { id, problem } = this.asked.at(-1) as Request;
    this.say({ type: "solved", id, solution: { ...solveInRows(problem, true), width, approximate: false } });
  }
}

const problemOf = (width: number): Problem => ({
  boxes: [{ width, height: 40, inPorts: [], outPorts: [] }],
  inPorts: 0,
  outPorts: 0,
  edges: [],
});

let workers: ScriptedWorker[];
const spawn = () => {
  const worker = new ScriptedWorker();
  workers.push(worker);
  return worker;
};
const last = () => workers.at(-1) as ScriptedWorker;
const turn = () => vi.advanceTimersByTimeAsync(0);
const wanted = new AbortController().signal;

beforeEach(() => {
  workers = [];
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("each problem once", () => {
  test("equal problems share one answer, also those that are asked later", async () => {
    const solver = new Solver(spawn);
    const twice = [solver.solve(problemOf(10), wanted), solver.solve(problemOf(10), wanted)];
    await turn();
    last().say({ type: "ready" });
    last().answer(77);
    const [one, other] = await Promise.all(twice);
    const later = await solver.solve(problemOf(10), wanted);
    expect(one?.width).toBe(77);
    expect(other).toBe(one);
    expect(later).toBe(one);
    expect(last().asked.length).toBe(1);
  });

  test("one problem at a time, in order of request", async () => {
    const solver = new Solver(spawn);
    const both = [solver.solve(problemOf(10), wanted), solver.solve(problemOf(20), wanted)];
    await turn();
    last().say({ type: "ready" });
    expect(last().asked.map(({ problem }) => problem.boxes[0]?.width)).toEqual([10]);
    last().answer(1);
    expect(last().asked.map(({ problem }) => problem.boxes[0]?.width)).toEqual([10, 20]);
    last().answer(2);
    expect((await Promise.all(both)).map(({ width }) => width)).toEqual([1, 2]);
    expect(workers.length).toBe(1);
  });

  test("beyond its capacity the oldest solution goes", async () => {
    const solver = new Solver(spawn, { capacity: 1 });
    for (const width of [10, 20, 10]) {
      const answer = solver.solve(problemOf(width), wanted);
      await turn();
      last().say({ type: "ready" });
      last().answer(width);
      await answer;
    }
    expect(last().asked.map(({ problem }) => problem.boxes[0]?.width)).toEqual([10, 20, 10]);
  });

  test("a problem that nobody waits for any more is dropped before its turn", async () => {
    const solver = new Solver(spawn);
    const leaving = new AbortController();
    const first = solver.solve(problemOf(10), wanted);
    const dropped = solver.solve(problemOf(20), leaving.signal);
    const refused = expect(dropped).rejects.toMatchObject({ name: "AbortError" });
    await turn();
    last().say({ type: "ready" });
    leaving.abort();
    last().answer(1);
    await first;
    await refused;
    expect(last().asked.length).toBe(1);
  });
});

describe("the column", () => {
  const expectColumn = (solution: Solution, width: number) => {
    expect(solution.approximate).toBe(true);
    expect(solution).toEqual(solveInRows(problemOf(width), true));
  };

  test("past the deadline the worker is ended, and a fresh one takes the next problem", async () => {
    const solver = new Solver(spawn, { deadline: 500 });
    const slow = solver.solve(problemOf(10), wanted);
    const next = solver.solve(problemOf(20), wanted);
    await turn();
    const first = last();
    first.say({ type: "ready" });
    await vi.advanceTimersByTimeAsync(499);
    expect(first.terminated).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expectColumn(await slow, 10);
    expect(first.terminated).toBe(true);
    expect(workers.length).toBe(2);
    first.answer(99); // a last word
    last().say({ type: "ready" });
    last().answer(5);
    expect((await next).width).toBe(5);
  });

  test("what Graphviz refuses is a column, and a fresh worker follows", async () => {
    const solver = new Solver(spawn);
    const refused = solver.solve(problemOf(10), wanted);
    await turn();
    last().say({ type: "ready" });
    last().say({ type: "failed", id: last().asked[0]?.id ?? -1, problem: "stack overflow" });
    expectColumn(await refused, 10);
    expect(workers[0]?.terminated).toBe(true);
  });

  test.each<[string, (worker: ScriptedWorker) => unknown]>([
    ["the worker cannot be loaded", (worker) => worker.fail()],
    ["Graphviz does not load", (worker) => worker.say({ type: "broken", problem: "no wasm" })],
    ["it loads for too long", () => vi.advanceTimersByTimeAsync(20_000)],
  ])("everything is a column if %s", async (_, happen) => {
    const solver = new Solver(spawn);
    const both = [solver.solve(problemOf(10), wanted), solver.solve(problemOf(20), wanted)];
    await turn();
    await happen(last());
    const [one, other] = await Promise.all(both);
    expectColumn(one as Solution, 10);
    expectColumn(other as Solution, 20);
    expectColumn(await solver.solve(problemOf(30), wanted), 30);
    expect(workers.length).toBe(1);
  });

  test("everything is a column where there are no workers", async () => {
    const solver = new Solver(() => {
      throw new ReferenceError("Worker is not defined");
    });
    expectColumn(await solver.solve(problemOf(10), wanted), 10);
  });
});
