import { signal } from "@preact/signals";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Question, resource } from "../src/resource";

interface Answer {
  readonly key: string;
  readonly known: string | null;
  readonly signal: AbortSignal;
  resolve(data: string): void;
  reject(error: unknown): void;
}

/** A resource on a question held in a signal; every load waits until the test answers it. */
function asked(first: Partial<Question<string>> | null = {}) {
  const answers: Answer[] = [];
  const question = (changes: Partial<Question<string>> | null): Question<string> | null =>
    changes && {
      key: "k",
      look: 0,
      load: (signal, known) =>
        new Promise((resolve, reject) => {
          answers.push({ key: changes.key ?? "k", known, signal, resolve, reject });
        }),
      ...changes,
    };
  const asking = signal(question(first));
  const end = new AbortController();
  const state = resource(end.signal, () => asking.value);
  const ask = (changes: Partial<Question<string>> | null) => {
    asking.value = question(changes);
  };
  const answer = async (index: number, data: string) => {
    answers[index]?.resolve(data);
    await settled();
  };
  const refuse = async (index: number, error: unknown) => {
    answers[index]?.reject(error);
    await settled();
  };
  return { state, ask, answer, refuse, answers, end };
}

const settled = () => new Promise((resolve) => setTimeout(resolve));

describe("a question", () => {
  test("is loading, then its data", async () => {
    const { state, answer } = asked();
    expect(state.value).toEqual({ data: null, error: "", loading: true });
    await answer(0, "one");
    expect(state.value).toEqual({ data: "one", error: "", loading: false });
  });

  test("that is none has no data and is not loading", () => {
    expect(asked(null).state.value).toEqual({ data: null, error: "", loading: false });
  });

  test("about something else drops the data at once and aborts what was under way", async () => {
    const { state, ask, answer, answers } = asked();
    await answer(0, "one");
    ask({ key: "other" });
    expect(state.value).toEqual({ data: null, error: "", loading: true });
    ask({ key: "third" });
    expect(answers.map(({ signal }) => signal.aborted)).toEqual([false, true, false]);
    await answer(1, "stale");
    expect(state.value.loading).toBe(true);
    await answer(2, "third");
    await answer(1, "stale");
    expect(state.value.data).toBe("third");
  });

  test("about a newer version keeps the data until the new one is there", async () => {
    const { state, ask, answer, answers } = asked({ version: "1" });
    await answer(0, "one");
    ask({ version: "2" });
    expect(state.value).toEqual({ data: "one", error: "", loading: false });
    expect(answers[1]?.known).toBe("one");
    ask({ version: "3" });
    expect(answers[1]?.signal.aborted).toBe(true);
    await answer(2, "three");
    await answer(1, "two, too late");
    expect(state.value.data).toBe("three");
  });

  test("that ends forgets everything", async () => {
    const { state, ask, answer, answers } = asked();
    await answer(0, "one");
    ask({ version: "2" });
    ask(null);
    expect(state.value).toEqual({ data: null, error: "", loading: false });
    expect(answers[1]?.signal.aborted).toBe(true);
  });
});

describe("looking again", () => {
  test("asks a live question anew with what is known, and not twice at a time", async () => {
    const { ask, answer, answers } = asked({ live: true });
    ask({ live: true, look: 1 });
    expect(answers).toHaveLength(1);
    await answer(0, "one");
    ask({ live: true, look: 2 });
    expect(answers.map(({ known }) => known)).toEqual([null, "one"]);
  });

  test("does not ask what cannot change", async () => {
    const { ask, answer, answers } = asked();
    await answer(0, "one");
    ask({ look: 1 });
    expect(answers).toHaveLength(1);
  });

  test("asks again what failed", async () => {
    const { state, ask, answer, refuse, answers } = asked();
    await refuse(0, new Error("TensorBoard does not answer."));
    expect(state.value).toEqual({ data: null, error: "TensorBoard does not answer.", loading: false });
    ask({ look: 1 });
    expect(answers).toHaveLength(2);
    await answer(1, "one");
    expect(state.value).toEqual({ data: "one", error: "", loading: false });
  });

  test("wakes nobody where nothing changed", async () => {
    const { state, ask, answer } = asked({ live: true });
    await answer(0, "one");
    const woken = vi.fn();
    state.subscribe(woken);
    woken.mockClear();
    ask({ live: true, look: 1 });
    await answer(1, "one");
    expect(woken).not.toHaveBeenCalled();
  });
});

describe("failures", () => {
  test("keep the words, and the data that was there", async () => {
    const { state, ask, answer, refuse } = asked({ live: true });
    await answer(0, "one");
    ask({ live: true, look: 1 });
    await refuse(1, "gone");
    expect(state.value).toEqual({ data: "one", error: "gone", loading: false });
  });

  test("of what was aborted are nobody's concern", async () => {
    const { state, ask, refuse } = asked();
    ask({ key: "other" });
    await refuse(0, new DOMException("aborted", "AbortError"));
    expect(state.value).toEqual({ data: null, error: "", loading: true });
  });
});

describe("a question that hangs", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const settled = () => vi.advanceTimersByTimeAsync(0);

  test("is given up after two minutes, in words, and asked again at the next look", async () => {
    const { state, ask, answers } = asked({ live: true });
    answers[0]?.resolve("one");
    await settled();
    ask({ live: true, look: 1 });
    await vi.advanceTimersByTimeAsync(119_999);
    ask({ live: true, look: 2 });
    expect(answers).toHaveLength(2);
    expect(state.value.error).toBe("");
    await vi.advanceTimersByTimeAsync(1);
    expect(answers[1]?.signal.aborted).toBe(true);
    expect(state.value).toMatchObject({ data: "one", loading: false });
    expect(state.value.error).toMatch(/^TensorBoard has not answered for two minutes\./);
    ask({ live: true, look: 3 });
    answers[1]?.resolve("late");
    answers[2]?.resolve("two");
    await settled();
    expect(state.value).toEqual({ data: "two", error: "", loading: false });
  });

  test("is of no concern once something else is asked, or it was answered", async () => {
    const { state, ask, answers } = asked();
    await vi.advanceTimersByTimeAsync(60_000);
    ask({ key: "other" });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(state.value).toEqual({ data: null, error: "", loading: true });
    answers[1]?.resolve("two");
    await vi.advanceTimersByTimeAsync(600_000);
    expect(state.value).toEqual({ data: "two", error: "", loading: false });
    expect(answers[1]?.signal.aborted).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
  });
});

test("the end aborts what is under way and asks no more", async () => {
  const { state, ask, answer, answers, end } = asked();
  end.abort();
  expect(answers[0]?.signal.aborted).toBe(true);
  await answer(0, "late");
  ask({ key: "other" });
  expect(answers).toHaveLength(1);
  expect(state.value.data).toBeNull();
});
