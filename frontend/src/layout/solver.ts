// Problems in, solutions out: one worker, one problem at a time, each distinct problem once, a deadline for each.

import { type Problem, problemKey, type Solution } from "./problem";
import { solveInRows } from "./rows";

export interface Request {
  id: number;
  problem: Problem;
}

export type Reply =
  | { type: "ready" }
  | { type: "broken"; problem: string }
  | { type: "solved"; id: number; solution: Solution }
  | { type: "failed"; id: number; problem: string };

/** What the solver needs of a `Worker`. */
export interface LayoutWorker {
  postMessage(message: Request): void;
  addEventListener(type: "message", listener: (event: { data: Reply }) => void): void;
  addEventListener(type: "error", listener: () => void): void;
  terminate(): void;
}

export interface SolverOptions {
  /** Milliseconds that Graphviz may take for one container before the plain column is drawn instead. */
  deadline?: number;
  /** Milliseconds that the worker may take to load Graphviz. */
  loadDeadline?: number;
  /** Solutions kept; the oldest go first. */
  capacity?: number;
}

interface Job {
  id: number;
  key: string;
  problem: Problem;
  signals: AbortSignal[];
  promise: Promise<Solution>;
  resolve: (solution: Solution) => void;
  reject: (reason: unknown) => void;
}

export class Solver {
  readonly #spawn: () => LayoutWorker;
  readonly #options: Required<SolverOptions>;
  readonly #solved = new Map<string, Solution>();
  readonly #jobs = new Map<string, Job>(); // waiting or running, by key, in order of request
  #worker: LayoutWorker | null = null;
  #ready = false;
  #unusable = false;
  #running: Job | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #count = 0;

  constructor(spawn: () => LayoutWorker, options: SolverOptions = {}) {
    this.#spawn = spawn;
    this.#options = { deadline: 2000, loadDeadline: 20000, capacity: 1000, ...options };
  }

  /**
   * The solution of `problem`, by Graphviz or, past the deadline, as a column. Never rejects but with an AbortError:
   * a problem that nobody waits for any more before its turn comes is dropped.
   */
  solve(problem: Problem, signal: AbortSignal): Promise<Solution> {
    const key = problemKey(problem);
    const known = this.#solved.get(key);
    if (known) return Promise.resolve(known);
    let job = this.#jobs.get(key);
    if (!job) {
      const { promise, resolve, reject } = withResolvers<Solution>();
      job = { id: this.#count++, key, problem, signals: [], promise, resolve, reject };
      this.#jobs.set(key, job);
    }
    job.signals.push(signal);
    queueMicrotask(() => this.#advance());
    return job.promise;
  }

  #advance(): void {
    if (this.#running) return;
    for (const job of this.#jobs.values()) {
      if (job.signals.every((signal) => signal.aborted)) {
        this.#jobs.delete(job.key);
        job.reject(new DOMException("Nobody waits for this layout any more.", "AbortError"));
      } else if (this.#unusable) this.#finish(job, solveInRows(job.problem, true));
      else {
        this.#start(job);
        return;
      }
    }
  }

  /** Load Graphviz before there is anything to solve. */
  warm(): void {
    if (this.#worker || this.#unusable) return;
    this.#ready = false;
    try {
      this.#worker = this.#spawn();
    } catch {
      this.#giveUp();
      return;
    }
    this.#listen(this.#worker);
    this.#timer = setTimeout(() => this.#giveUp(), this.#options.loadDeadline);
  }

  #start(job: Job): void {
    this.warm();
    if (!this.#worker || !this.#ready) return; // "ready" comes back here
    this.#running = job;
    this.#timer = setTimeout(() => this.#abandon(job), this.#options.deadline);
    this.#worker.postMessage({ id: job.id, problem: job.problem });
  }

  #listen(worker: LayoutWorker): void {
    worker.addEventListener("error", () => worker === this.#worker && this.#giveUp());
    worker.addEventListener("message", ({ data }) => {
      if (worker !== this.#worker) return; // a last word of a worker that was terminated
      if (data.type === "ready") {
        clearTimeout(this.#timer);
        this.#ready = true;
        this.#advance();
      } else if (data.type === "broken") this.#giveUp();
      else if (this.#running?.id === data.id) {
        // After an error Graphviz may be left in any state (a stack overflow, say): a fresh worker follows.
        if (data.type === "failed") this.#abandon(this.#running);
        else this.#finish(this.#running, data.solution);
      }
    });
  }

  #finish(job: Job, solution: Solution): void {
    if (this.#running === job) {
      clearTimeout(this.#timer);
      this.#running = null;
    }
    this.#jobs.delete(job.key);
    this.#solved.set(job.key, solution);
    const oldest = this.#solved.keys().next();
    if (this.#solved.size > this.#options.capacity && !oldest.done) this.#solved.delete(oldest.value);
    job.resolve(solution);
    this.#advance();
  }

  #abandon(job: Job): void {
    this.#worker?.terminate(); // works in the middle of a layout
    this.#worker = null;
    this.#finish(job, solveInRows(job.problem, true));
  }

  /** No worker, or no Graphviz in it: everything is drawn as columns from now on. */
  #giveUp(): void {
    clearTimeout(this.#timer);
    this.#worker?.terminate();
    this.#worker = null;
    this.#running = null;
    this.#unusable = true;
    this.#advance();
  }
}

function withResolvers<T>() {
  let resolve: (value: T) => void = () => {};
  let reject: (reason: unknown) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

let solver: Solver | undefined;

/** The only solver of the page, with Graphviz in a module worker. */
export function pageSolver(): Solver {
  solver ??= new Solver(
    () => new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "layerscope-layout" }),
  );
  return solver;
}
