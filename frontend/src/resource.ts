import { effect, type ReadonlySignal, signal, untracked } from "@preact/signals";

/** What was asked of the backend, as far as it has come. `data` stays while a newer version of it loads. */
export interface Resource<T> {
  readonly data: T | null;
  /** Why the last attempt failed, in words; "" if it did not. */
  readonly error: string;
  /** Nothing to show yet, but it is on its way. */
  readonly loading: boolean;
}

export interface Question<T> {
  /** What it is about: data of another key is dropped at once. */
  readonly key: string;
  /** Which state of it: when it changes, a load under way is aborted, and data stays until the new one is there. */
  readonly version?: string;
  /** Counts the looks for new data. A failed question is asked again at the next; a live one is asked at each. */
  readonly look: number;
  readonly live?: boolean;
  /** May return `known` itself to say that nothing changed; then nobody is woken. */
  readonly load: (signal: AbortSignal, known: T | null) => Promise<T>;
}

const LIMIT_MS = 120_000;
const TOO_LATE = "TensorBoard has not answered for two minutes. It is asked again when the page looks for new data.";

/** Follow a question that depends on signals: load when it changes, abort what has become stale or hangs. */
export function resource<T>(end: AbortSignal, ask: () => Question<T> | null): ReadonlySignal<Resource<T>> {
  const state = signal<Resource<T>>({ data: null, error: "", loading: false });
  let asked: Question<T> | null = null;
  let running: AbortController | null = null;
  const set = (data: T | null, error: string, loading: boolean) => {
    const old = state.peek();
    if (old.data !== data || old.error !== error || old.loading !== loading) state.value = { data, error, loading };
  };
  const start = async (question: Question<T>, known: T | null): Promise<void> => {
    const controller = new AbortController();
    running = controller;
    if (known === null) set(null, "", true);
    const limit = setTimeout(() => {
      if (running !== controller) return;
      running = null;
      controller.abort();
      set(known, TOO_LATE, false);
    }, LIMIT_MS);
    try {
      const data = await question.load(controller.signal, known);
      if (!controller.signal.aborted) set(data, "", false);
    } catch (error) {
      if (controller.signal.aborted) return;
      set(known, error instanceof Error ? error.message : String(error), false);
    } finally {
      clearTimeout(limit);
    }
    if (running === controller) running = null;
  };
  const stop = effect(() => {
    const question = ask();
    untracked(() => {
      const sameKey = question !== null && question.key === asked?.key;
      const same = sameKey && question.version === asked?.version;
      const again = question?.look !== asked?.look && running === null && (question?.live || state.peek().error !== "");
      asked = question;
      if (same && !again) return;
      running?.abort();
      running = null;
      if (question === null) set(null, "", false);
      else void start(question, sameKey ? state.peek().data : null);
    });
  });
  end.addEventListener("abort", () => {
    stop();
    running?.abort();
  });
  return state;
}
