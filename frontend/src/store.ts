/**
 * What a person chose and what follows from it, as signals. Views read it and call its methods; nothing else keeps
 * state. Every choice stands in the address, so opening the address elsewhere shows the same.
 */

import { batch, computed, type ReadonlySignal, signal } from "@preact/signals";
import type { Backend, Numbers } from "./backend";
import { AddressChoices, type Choices, ComparedChoices, comparedRun } from "./choices";
import { type ColourScale, fitScale, scaleKind } from "./colour";
import { type Comparison, comparisonOf } from "./comparison";
import type { Counterpart } from "./counterpart";
import { type SavedSteps, savedBlobs, sortTags, tells, union } from "./data";
import { type Detail, layerDetail } from "./detail";
import { byLayer, inOrder, keyOf, placeOf } from "./findings";
import type { ModelGraph } from "./graph";
import { ancestors, nodeOf } from "./graph";
import type { Host } from "./host";
import { compact, expansionOf, revealing, toggled } from "./layout/expansion";
import { hierarchyOf } from "./layout/hierarchy";
import type { LoadedSeries } from "./loading";
import { type Measure, type Method, measuresOf, methodsOf } from "./measures";
import { type Pictures, picturesOf } from "./pictures";
import { type AllSeries, questions } from "./questions";
import type { Resource } from "./resource";
import { foldedRows, orderedRows } from "./rows";
import { layerRows, rowsOfLayer, type Series } from "./series";
import { type Surrogates, surrogatesOf } from "./surrogates";
import { encodeSelection, type Selection } from "./url";
import { type Finding, type FindingsListing, SERIES, type TagListing } from "./wire";

/** What the pointer is over: other views light up the same. */
export interface Pointed {
  readonly layer: string | null;
  readonly step: number | null;
}

const NO_RUNS: Resource<readonly string[]> = { data: [], error: "", loading: false };

export class Store {
  /** The layer and the step under the pointer, wherever it is; not in the address. */
  readonly pointed = signal<Pointed | null>(null);
  readonly pointedLayer = computed(() => this.pointed.value?.layer ?? null);
  /** Counts the looks for new data. */
  readonly look = signal(0);

  readonly runs: ReadonlySignal<Resource<readonly string[]>>;
  readonly listing: ReadonlySignal<Resource<TagListing>>;
  readonly findings: ReadonlySignal<Resource<FindingsListing>>;
  readonly graph: ReadonlySignal<Resource<ModelGraph>>;
  /** The series of the chosen measure, whole. */
  readonly series: ReadonlySignal<Resource<LoadedSeries>>;
  /** One row of every series, for the steps at which it was saved. */
  readonly recorded: ReadonlySignal<Resource<AllSeries>>;
  readonly scalarCurve: ReadonlySignal<Resource<Numbers>>;
  /** How well each layer tells the classes. */
  readonly probes: ReadonlySignal<Resource<LoadedSeries>>;
  readonly surrogates: Surrogates;
  /** What only the panel of the selected layer shows. */
  readonly detail: Detail;
  readonly pictures: Pictures;
  readonly projectorUrl: string;

  private readonly choices: Choices;
  private readonly compared = signal<Comparison | null>(null);
  private readonly host: Host;

  constructor(
    backend: Backend,
    host: Host,
    end: AbortSignal,
    /** Which nodes the structure opens with. */
    private readonly opening: (graph: ModelGraph) => Set<string>,
    /** The store whose other side this one is. */
    readonly main: Store | null = null,
  ) {
    this.host = host;
    this.choices = main === null ? new AddressChoices(host, end) : new ComparedChoices(main);
    const ask = questions(this, backend, end);
    this.runs = main === null ? ask.runs() : computed(() => (comparedRun(main) !== null ? main.runs.value : NO_RUNS));
    this.listing = ask.listing();
    this.findings = ask.findings();
    this.graph = ask.graph();
    this.series = ask.series();
    this.recorded = ask.recorded();
    this.scalarCurve = ask.scalarCurve();
    this.probes = ask.probes();
    this.surrogates = surrogatesOf(this, backend, end);
    this.detail = layerDetail(this, backend, end);
    this.pictures = picturesOf(this, backend, end);
    this.projectorUrl = backend.projectorUrl();
    if (main !== null) return;
    this.compared.value = comparisonOf(this, new Store(backend, host, end, opening, this), backend, end);
    host.onReload(() => this.refresh());
  }

  /** What this is compared with; null in a store that is itself the other side. */
  get comparison(): Comparison | null {
    return this.compared.value;
  }

  // --- what was chosen, or its default ---------------------------------------------------------------------------

  readonly run = computed(() => {
    const runs = this.runs.value.data ?? [];
    const chosen = this.chosen("run");
    return chosen !== null && runs.includes(chosen) ? chosen : (runs[0] ?? null);
  });
  readonly tags = computed(() => sortTags(this.listing.value.data));
  /** Names of the series of this run: those that Layerscope knows in its own order, then the others. */
  readonly seriesNames = computed<readonly string[]>(() => {
    const held = new Set(this.tags.value.series.map(({ metadata }) => metadata.name));
    return [...new Set([...SERIES.keys(), ...held])].filter((name) => held.has(name));
  });
  readonly measures = computed(() => measuresOf(this.seriesNames.value, this.tags.value.series));
  readonly measure = computed<Measure | null>(() => {
    const find = (id: string | null) => this.measures.value.find((measure) => measure.id === id);
    const chosen = find(this.chosen("measure"));
    if (this.main !== null) return chosen ?? null; // another one would not compare
    return chosen ?? find("gradients.norm") ?? this.measures.value[0] ?? null;
  });
  readonly layer = computed(() => this.chosen("layer"));
  readonly query = computed(() => this.chosen("query") ?? "");
  readonly outline = computed(() => this.chosen("outline") ?? false);
  /** Whether this run holds a structure and nothing that would stand beside it. */
  readonly bare = computed(() => {
    const nothing = this.tags.value.series.length === 0 && this.scalars.value.length === 0;
    return nothing && savedBlobs(this.tags.value).length === 0 && this.graph.value.data !== null;
  });
  /** Whether the structure has the tab to itself. */
  readonly wide = computed(() => this.bare.value || (this.chosen("wide") ?? false));
  /** Which way along the edges from the selected node everything is lit; null for not at all. */
  readonly flow = computed(() => this.chosen("flow"));
  /** How steps are spaced in every chart. */
  readonly axis = computed(() => this.chosen("axis") ?? "linear");
  readonly sample = computed(() => this.chosen("sample") ?? 0);
  readonly scalars = computed(() => this.listing.value.data?.scalars ?? []);
  readonly scalar = computed(() => {
    const tags = this.scalars.value;
    const chosen = this.chosen("scalar");
    if (chosen !== null && tags.includes(chosen)) return chosen;
    return this.main !== null ? null : (tags.find((tag) => /loss/i.test(tag)) ?? tags[0] ?? null);
  });
  readonly methods = computed(() => methodsOf(this.tags.value.attribution));
  /** The methods that say something of the selected layer, or, without one, of the inputs; else all. */
  readonly tellingMethods = computed<readonly Method[]>(() => {
    const layer = this.layer.value;
    const telling = this.methods.value.filter(({ tags }) => tags.some((tag) => tells(tag, layer)));
    return telling.length > 0 ? telling : this.methods.value;
  });
  /** Whether any method says something of the inputs. */
  readonly tellsOfInputs = computed(() => this.methods.value.some(({ tags }) => tags.some((tag) => tells(tag, null))));
  readonly method = computed<Method | null>(() => {
    const methods = this.tellingMethods.value;
    const chosen = methods.find(({ name }) => name === this.chosen("method")) ?? null;
    return this.main !== null ? chosen : (chosen ?? methods[0] ?? null); // another one would not compare
  });
  /** Positions of the inputs that the method attributes. */
  readonly inputs = computed<readonly number[]>(() => {
    const held = (this.method.value?.tags ?? []).flatMap(({ metadata }) => metadata.inputs ?? []);
    return [...new Set(held)].sort((a, b) => a - b);
  });
  /** The input whose attribution is shown where no layer is selected. */
  readonly input = computed(() => {
    const chosen = this.chosen("input");
    return chosen !== null && this.inputs.value.includes(chosen) ? chosen : (this.inputs.value[0] ?? 0);
  });
  /** Whether all features of an input are shown, not only the first or those that matter most. */
  readonly allFeatures = computed(() => this.chosen("allFeatures") ?? false);
  readonly expanded = computed<ReadonlySet<string>>(() => {
    const chosen = this.chosen("expanded");
    const graph = this.graph.value.data;
    if (graph === null) return new Set(chosen ?? []);
    return chosen !== null ? expansionOf(graph, chosen) : this.opening(graph);
  });

  /** What is compared with; null where nothing is. */
  readonly other: ReadonlySignal<Store | null> = computed(() => {
    const comparison = this.comparison;
    return comparison?.active.value ? comparison.other : null;
  });

  /** Which layer is which on the other side; null where nothing is compared. */
  readonly counterpart: ReadonlySignal<Counterpart | null> = computed(() => {
    if (this.main !== null) return this.main.comparison?.back.value ?? null;
    return this.comparison?.active.value ? this.comparison.counterpart.value : null;
  });

  // --- steps -------------------------------------------------------------------------------------------------------

  readonly saved = computed<readonly SavedSteps[]>(() => {
    const rows = [...(this.recorded.value.data ?? [])].map(([label, { series }]) => ({
      label,
      steps: series?.steps ?? [],
    }));
    return [...rows.filter(({ steps }) => steps.length > 0), ...savedBlobs(this.tags.value)];
  });
  /** All steps at which anything was saved, ascending; the steps of the user's scalar where nothing of ours was. */
  readonly steps = computed<readonly number[]>(() => {
    const steps = union(this.saved.value.map((row) => row.steps));
    return steps.length ? steps : (this.scalarCurve.value.data?.steps ?? []);
  });
  /** Whether rows of modules that are closed in the structure are one. */
  readonly folded = computed(() => this.chosen("folded") ?? false);
  /** First and last step that charts show. */
  readonly span = computed<readonly [number, number]>(() => this.chosen("zoom") ?? this.wholeSpan.value);
  /** First and last step of the run, and of what it is compared with, that anything is known about. */
  readonly wholeSpan: ReadonlySignal<readonly [number, number]> = computed(() => {
    if (this.main !== null) return this.main.wholeSpan.value;
    const other = this.other.value;
    const curve = this.scalarCurve.value.data?.steps ?? [];
    const steps = this.steps.value;
    const beside = [other?.scalarCurve.value.data?.steps ?? [], other?.steps.value ?? []];
    const ends = [curve, steps, ...beside].flatMap((all) => [all[0], all.at(-1)]).filter((step) => step !== undefined);
    return ends.length ? [Math.min(...ends), Math.max(...ends)] : [0, 0];
  });
  readonly step = computed(() => this.chosen("step") ?? this.steps.value.at(-1) ?? this.wholeSpan.value[1]);
  /** Whether the latest step is followed as it comes in. */
  readonly following = computed(() => this.chosen("step") === null);

  // --- the measure -------------------------------------------------------------------------------------------------

  readonly measured = computed<Series | null>(() => {
    const measure = this.measure.value;
    const series = this.series.value.data?.series ?? null;
    return series?.statistics.some(({ name }) => name === measure?.statistic.name) ? series : null;
  });
  /** Where the measure stands among the statistics of its series. */
  readonly column = computed(() => {
    const name = this.measure.value?.statistic.name;
    return this.measured.value?.statistics.findIndex((statistic) => statistic.name === name) ?? 0;
  });
  /** The layers that the measure has numbers of, in order of execution. */
  readonly layers = computed<readonly string[]>(() => {
    const series = this.measured.value;
    return series === null ? [] : layerRows(series, this.graph.value.data);
  });
  /** The rows of layers × steps. */
  readonly rows = computed<readonly string[]>(() => {
    const [series, order, all] = [this.measured.value, this.chosen("order"), this.layers.value];
    if (series === null) return [];
    const rows = this.folded.value ? foldedRows(all, series, this.graph.value.data, this.expanded.value) : all;
    if (order === null) return rows;
    const { comparison } = this;
    const difference = comparison?.sideBySide.value ? null : (comparison?.difference.value ?? null);
    return orderedRows(rows, series, this.column.value, this.span.value, order, difference);
  });
  /** The measure of all rows at all steps: `[row * steps + step]`. */
  readonly table = computed(() => this.numbersOf(this.rows.value));
  /** One scale over all layers and all steps of the run, and of what it is compared with, so that colours compare. */
  readonly scale: ReadonlySignal<ColourScale | null> = computed(() => {
    if (this.main !== null) return this.main.scale.value;
    const measure = this.measure.value;
    if (measure === null) return null;
    const [own, other] = [this.numbersOf(this.layers.value), this.other.value];
    const all = other === null ? own : joined(own, other.numbersOf(other.layers.value));
    return fitScale(scaleKind(measure.statistic, this.chosen("colours")), all);
  });

  private numbersOf(rows: readonly string[]): Float32Array {
    const series = this.measured.value;
    const indices = rows.map((row) => series?.row(row) as number);
    return series?.table(this.column.value, indices) ?? new Float32Array(0);
  }

  // --- findings ----------------------------------------------------------------------------------------------------

  /** What is wrong, the worst first. */
  readonly found = computed<readonly Finding[]>(() => inOrder(this.findings.value.data?.findings ?? []));
  readonly foundByLayer = computed(() => byLayer(this.found.value));
  /** The finding that is looked at. */
  readonly finding = computed(() => this.found.value.find((one) => keyOf(one) === this.chosen("finding")) ?? null);
  readonly findingsOpen = computed(() => this.chosen("findings") ?? this.layer.value === null);

  // --- the selected layer ------------------------------------------------------------------------------------------

  /** Rows that belong to the selected layer in any series: its own and its parameters'. */
  readonly layerRowNames = computed<readonly string[]>(() => {
    const layer = this.layer.value;
    if (layer === null) return [];
    const module = nodeOf(this.graph.value.data, layer)?.module || layer;
    const names = new Set<string>();
    for (const { metadata } of this.tags.value.series) {
      for (const owner of new Set([layer, module])) {
        for (const row of rowsOfLayer(metadata.layers, metadata.owners, owner))
          names.add(metadata.layers[row] as string);
      }
    }
    if (names.has(layer)) names.delete(module === layer ? "" : module);
    return [...names];
  });
  readonly row = computed<string | null>(() => {
    const names = this.layerRowNames.value;
    const chosen = this.chosen("row");
    return chosen !== null && names.includes(chosen) ? chosen : (names[0] ?? null);
  });

  // --- choosing ----------------------------------------------------------------------------------------------------

  /** What was chosen, for what has no default here. */
  chosen<K extends keyof Selection>(key: K): Selection[K] {
    return this.choices.chosen(key);
  }

  choose(changes: Partial<Selection>): void {
    this.choices.choose(changes);
  }

  selection(): Selection {
    return this.choices.selection();
  }

  /** Select a layer; with `reveal`, the structure opens until it is visible, folds at the repetition that it is in. */
  select(layer: string | null, reveal = false): void {
    this.choose({ layer, row: null });
    const graph = this.graph.peek().data;
    if (layer === null || !reveal) return;
    const expanded = this.expanded.peek();
    const known = graph !== null && hierarchyOf(graph).parent.has(layer);
    const next = known ? revealing(graph, expanded, layer) : new Set([...expanded, ...ancestors(layer, graph)]);
    if (next.size !== expanded.size || [...next].some((word) => !expanded.has(word))) this.expand(next);
  }

  /** Open or close a module or a fold. */
  toggle(id: string): void {
    const graph = this.graph.peek().data;
    if (graph !== null) this.expand(toggled(graph, this.expanded.peek(), id));
  }

  /** Open this and nothing else (see layout/hierarchy.ts for what the words are). */
  expand(expanded: ReadonlySet<string>): void {
    const graph = this.graph.peek().data;
    this.choose({ expanded: graph === null ? [...expanded] : compact(graph, expanded) });
  }

  /** Light what is up- or downstream of the selected node, or no longer. */
  toggleFlow(way: "up" | "down"): void {
    const flow = this.flow.peek();
    const other = way === "up" ? "down" : "up";
    const lit = flow === way || flow === "both";
    this.choose({ flow: lit ? (flow === "both" ? other : null) : flow === other ? "both" : way });
  }

  /** Show a finding: where it is, when it was, coloured by what shows it. Null puts it away. */
  lookAt(finding: Finding | null): void {
    if (finding === null) {
      this.choose({ finding: null });
      return;
    }
    batch(() => {
      this.select(finding.layer || null, true);
      this.choose(placeOf(finding));
    });
  }

  /** Show the finding after the one that is looked at, or before it, and round the end. */
  nextFinding(by: 1 | -1): void {
    const all = this.found.peek();
    const finding = this.finding.peek();
    const at = finding === null ? -1 : all.indexOf(finding);
    const from = at < 0 && by < 0 ? 0 : at;
    const next = all[(from + by + all.length) % Math.max(1, all.length)];
    if (next !== undefined) this.lookAt(next);
  }

  /** Go to a step; the last one is followed from then on. */
  goTo(step: number): void {
    const latest = this.main === null && step === this.steps.peek().at(-1);
    this.choose({ step: latest ? null : step });
  }

  /** Show the steps around the current one closer, or all of them again. */
  zoomIn(closer: boolean): void {
    const [[first, last], step] = [this.span.peek(), this.step.peek()];
    const half = Math.round((last - first) / 4);
    const wanted: [number, number] = [Math.max(first, step - half), Math.min(last, step + half)];
    this.choose({ zoom: closer && wanted[1] > wanted[0] ? wanted : null });
  }

  /** Look for new data. */
  refresh(): void {
    this.look.value++;
    this.compared.peek()?.other.refresh();
  }

  /** The address that shows what is shown now. */
  link(): string {
    const step = this.step.value;
    return this.host.address(
      encodeSelection(this.host.hash(), { ...this.selection(), run: this.run.value, step }, true),
    );
  }
}

function joined(one: Float32Array, other: Float32Array): Float32Array {
  const all = new Float32Array(one.length + other.length);
  all.set(one);
  all.set(other, one.length);
  return all;
}
